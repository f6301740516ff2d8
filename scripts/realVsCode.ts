// A real VS Code (code-server) and a real browser, from npm alone and without root, in the ignored folder .e2e/. What `npm start` and the end-to-end tests run in.
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { acquireFileLock, type FileLock } from "../src/formats/fileLock.ts";

const root = join(import.meta.dirname, "..");
const home = join(root, ".e2e");
const codeServerVersion = "4.139.1";
const chromiumVersion = "153.0.0";
const run = promisify(execFile);

/** Why there can be no real VS Code here, or false where there can. */
export const unavailable: string | false =
  process.platform === "linux" && process.arch === "x64"
    ? false
    : `code-server and the packaged browser are set up for linux-x64 only, not ${process.platform}-${process.arch}`;

export const paths = {
  node: process.execPath,
  codeServer: join(home, "code-server", "node_modules", "code-server", "out", "node", "entry.js"),
  browser: join(home, "chromium", "chromium"),
} as const;

/** What the browser needs of its environment: its own libraries and fonts. */
export const browserEnvironment = {
  LD_LIBRARY_PATH: join(home, "chromium", "al2023", "lib"),
  FONTCONFIG_FILE: join(home, "chromium", "fonts.conf"),
};

export const browserFlags = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A Vulkan driver that computes on the processor, for tests of GPU code: the environment of a process that is to find it. */
export const softwareGpuEnvironment: Readonly<Record<string, string>> = process.env["SAE_ENSEMBLES_TEST_VULKAN"]
  ? // Another driver, by its ICD file: lavapipe has more of a GPU's features (scripts/lavapipe.sh).
    { VK_ICD_FILENAMES: process.env["SAE_ENSEMBLES_TEST_VULKAN"] }
  : {
      LD_LIBRARY_PATH: join(home, "chromium"),
      VK_ICD_FILENAMES: join(home, "chromium", "vk_swiftshader_icd.json"),
    };

/** Installs the browser, and with it the software GPU, where it is not there yet. */
export async function prepareBrowser(say: (line: string) => void = console.error): Promise<void> {
  if (unavailable) throw new Error(unavailable);
  mkdirSync(home, { recursive: true });
  await step("chromium", chromiumVersion, say, installChromium);
}

/** Installs what is not there yet; quick when all is. */
export async function prepareRealVsCode(say: (line: string) => void = console.error): Promise<void> {
  await prepareBrowser(say);
  await step("code-server", codeServerVersion, say, installCodeServer);
}

/** Does a step once a version; a step cut short is done anew. */
async function step(
  name: string,
  version: string,
  say: (line: string) => void,
  install: (folder: string) => Promise<void>,
): Promise<void> {
  const stamp = join(home, `${name}.version`);
  const isThere = (): boolean => existsSync(stamp) && readFileSync(stamp, "utf8") === version;
  if (isThere()) return;
  let lock: FileLock | null = null;
  // Another process may be installing it.
  while (!lock) lock = acquireFileLock(join(home, `${name}.lock`), 1000);
  try {
    if (isThere()) return;
    const begun = Date.now();
    say(`Installing ${name} ${version} into .e2e …`);
    const folder = join(home, name);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    await install(folder);
    writeFileSync(stamp, version);
    say(`  done in ${Math.round((Date.now() - begun) / 1000)} s`);
  } finally {
    lock.release();
  }
}

/** npm without scripts (they build and download what we don't need), in a folder that is no part of our package. */
async function npm(folder: string, ...words: string[]): Promise<void> {
  if (!existsSync(join(folder, "package.json"))) writeFileSync(join(folder, "package.json"), '{"private":true}');
  await run(
    "npm",
    [
      "install",
      "--prefix",
      folder,
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      "--no-package-lock",
      "--loglevel=error",
      ...words,
    ],
    {
      cwd: folder,
      maxBuffer: 1 << 26,
    },
  );
}

async function installChromium(folder: string): Promise<void> {
  await npm(folder, `@sparticuz/chromium@${chromiumVersion}`);
  const bin = join(folder, "node_modules", "@sparticuz", "chromium", "bin");
  const entry = pathToFileURL(join(folder, "node_modules", "@sparticuz", "chromium", "build", "esm", "index.js")).href;
  const files = ["chromium.br", "fonts.tar.br", "al2023.tar.br", "swiftshader.tar.br"].map((file) => join(bin, file));
  // Its inflate writes below TMPDIR, which must be ours alone.
  const script = `import { inflate } from ${JSON.stringify(existsSync(new URL(entry)) ? entry : "@sparticuz/chromium")}; for (const file of ${JSON.stringify(files)}) await inflate(file);`;
  execFileSync(process.execPath, ["--input-type=module", "-e", script], {
    cwd: folder,
    env: { ...process.env, TMPDIR: folder },
  });
  writeFileSync(
    join(folder, "fonts.conf"),
    `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig><include ignore_missing="yes">/etc/fonts/fonts.conf</include><dir prefix="relative">fonts</dir><cachedir prefix="xdg">fontconfig</cachedir></fontconfig>\n`,
  );
  chmodSync(join(folder, "chromium"), 0o755);
  execFileSync(join(folder, "chromium"), ["--version", "--no-sandbox"], {
    env: { ...process.env, ...browserEnvironment },
  });
}

async function installCodeServer(folder: string): Promise<void> {
  await npm(folder, `code-server@${codeServerVersion}`);
  const server = join(folder, "node_modules", "code-server", "lib", "vscode");
  await npm(server, "--omit=dev");
  await npm(join(server, "extensions"), "--omit=dev");
  for (const [link, target] of [
    [join(server, "bin", "remote-cli", "code-server"), "code-linux.sh"],
    [join(server, "bin", "helpers", "browser.sh"), "browser-linux.sh"],
  ] as const)
    if (!existsSync(link)) symlinkSync(target, link);
  execFileSync(process.execPath, [paths.codeServer, "--version"], {
    env: { ...process.env, XDG_CONFIG_HOME: join(home, "xdg") },
  });
}

export interface RunningVsCode {
  readonly url: string;
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

const userSettings = {
  "workbench.startupEditor": "none",
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "chat.disableAIFeatures": true,
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "extensions.autoUpdate": "off",
  "extensions.autoCheckUpdates": false,
  "extensions.ignoreRecommendations": true,
  "git.enabled": false,
  "window.autoDetectColorScheme": true,
  "security.workspace.trust.startupPrompt": "never",
  "workbench.preferredDarkColorTheme": "Dark Modern",
  "workbench.preferredLightColorTheme": "Light Modern",
};

export interface VsCodeOptions {
  /** Where all its state goes: settings, extensions, caches. */
  readonly state: string;
  /** Extension to install; none: the bare editor. */
  readonly vsix?: string;
  readonly port?: number;
  /** Ask for trust in workspaces, as a desktop does; otherwise everything is trusted. */
  readonly trust?: boolean;
  /** The PATH that it and its extensions see. */
  readonly path?: string;
  /** Settings beside those that keep it quiet, and instead of them. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Further options of its command line. */
  readonly flags?: readonly string[];
}

/** Starts a code-server; resolves when it answers. */
export async function startVsCode(options: VsCodeOptions): Promise<RunningVsCode> {
  const { vsix, state } = options;
  const port = options.port ?? (await freePort());
  mkdirSync(join(state, "user", "User"), { recursive: true });
  writeFileSync(
    join(state, "user", "User", "settings.json"),
    JSON.stringify({ ...userSettings, ...options.settings }, null, 2),
  );
  writeFileSync(join(state, "config.yaml"), "auth: none\n");
  const environment = {
    ...process.env,
    PATH: options.path ?? `${dirname(paths.node)}:${process.env["PATH"]}`,
  };
  for (const name of ["CONFIG", "DATA", "CACHE", "STATE", "RUNTIME"])
    Object.assign(environment, {
      [`XDG_${name}_${name === "RUNTIME" ? "DIR" : "HOME"}`]: mkdir(join(state, "xdg", name.toLowerCase())),
    });
  const common = [
    paths.codeServer,
    "--config",
    join(state, "config.yaml"),
    "--user-data-dir",
    join(state, "user"),
    "--extensions-dir",
    join(state, "extensions"),
  ];
  if (vsix) await run(paths.node, [...common, "--install-extension", vsix, "--force"], { env: environment });
  const server = spawn(
    paths.node,
    [
      ...common,
      "--bind-addr",
      `127.0.0.1:${port}`,
      ...(options.trust ? [] : ["--disable-workspace-trust"]),
      "--disable-telemetry",
      "--disable-update-check",
      "--disable-getting-started-override",
      "--ignore-last-opened",
      ...(options.flags ?? []),
    ],
    { env: environment, stdio: "ignore", detached: true },
  );
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  const url = `http://127.0.0.1:${port}/`;
  for (;;) {
    if (server.exitCode !== null) throw new Error(`code-server ended with exit code ${server.exitCode}`);
    const healthy = await fetch(`${url}healthz`).then(
      (response) => response.ok,
      () => false,
    );
    if (healthy) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    url,
    process: server,
    stop: async () => {
      try {
        process.kill(-server.pid!, "SIGTERM");
      } catch {
        // it has ended already
      }
      await ended;
    },
  };
}

function mkdir(folder: string): string {
  mkdirSync(folder, { recursive: true });
  return folder;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
