// Keeps onnxruntime from reporting its use to its makers, as its builds do from 1.30 on (they also write a device id below the user's cache folder). Imported for its effect by whatever leads to a session. It must happen in the main thread: a worker's environment is a copy that native code doesn't see.
process.env["ORT_DISABLE_TELEMETRY"] = "1";
