# The peers' side of the bench's protocol: one JSON line in, one marked JSON line out.
import json
import sys
import traceback


def serve(operations):
    """Calls operations[op](**fields) for every line and answers with the dict that it returns."""
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = operations[request.pop("op")](**request)
        except Exception as error:  # the bench shows it and goes on
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print("@" + json.dumps(answer), flush=True)
