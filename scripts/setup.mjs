// Installs the dependencies, unless the last complete install is still current.
// `npm start` and `npm test` run it on a bare checkout, hence plain JavaScript for Node 20 without dependencies.
// npm itself runs it with --done at the end of every complete install ("prepare" in package.json).
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { delimiter } from "node:path"
import { fileURLToPath } from "node:url"

process.chdir(fileURLToPath(new URL("..", import.meta.url)))

const stamp = "node_modules/.setup" // `npm ci` begins by emptying node_modules: an interrupted install has no stamp
const packages = readdirSync("packages").map((name) => `packages/${name}/package.json`)

const fingerprint = () => {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}`)
  for (const path of ["package-lock.json", "package.json", ...packages]) hash.update(readFileSync(path))
  return hash.digest("hex")
}

const isCurrent = () =>
  existsSync(stamp) && existsSync("node_modules/node/bin/node") && readFileSync(stamp, "utf8") === fingerprint()

const install = () => {
  // this very script may run on the Node in node_modules, which `npm ci` is about to delete
  process.env.PATH = process.env.PATH?.split(delimiter).filter((dir) => !/node_modules[\\/]\.bin$/.test(dir))
    .join(delimiter)
  const start = Date.now()
  const seconds = () => `${Math.round((Date.now() - start) / 1000)} s`
  console.log("Installing dependencies with `npm ci` (first run, or package files changed) ...")
  const progress = setInterval(() => console.log(`  still installing, ${seconds()}`), 5000)
  process.on("SIGINT", () => {}) // npm gets it too, and goes on for some seconds: leave only after it
  // loglevel error: on the older system Node, engine warnings are expected and harmless
  spawn("npm ci --include=dev --no-audit --no-fund --loglevel=error", {
    shell: true,
    stdio: ["ignore", "inherit", "inherit"]
  }).on("close", (code) => {
    clearInterval(progress)
    console.log(code === 0 ? `Dependencies installed in ${seconds()}` : "Installing dependencies failed")
    process.exitCode = code ?? 1
  })
}

if (process.argv.includes("--done")) {
  if (existsSync("node_modules")) writeFileSync(stamp, fingerprint()) // absent with --package-lock-only
} else if (!isCurrent()) {
  install()
}
