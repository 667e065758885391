/**
 * Builds the packages and packs them as users get them: `node scripts/pack.ts [folder]`. To release: `npm publish
 * <folder>/<package>.tgz`.
 *
 * In the workspace `exports` points to the sources, so that nothing has to be built to run. npm cannot replace `exports`
 * when it publishes; therefore the manifests are `private`, and what is packed is a copy with a manifest of its own.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"

const root = path.dirname(import.meta.dirname)
const packages = path.join(root, "packages")
const target = path.resolve(process.argv[2] ?? path.join(root, ".tmp", "pack"))
const names = fs.readdirSync(packages)

const run = (command: string, args: ReadonlyArray<string>, cwd: string) => {
  const { status } = spawnSync(command, args, { cwd, stdio: ["ignore", "inherit", "inherit"] })
  if (status !== 0) process.exit(1)
}

const publicManifest = (manifest: string): string => {
  const { private: _, ...rest } = JSON.parse(manifest)
  const exports = JSON.stringify(rest.exports).replaceAll(/"\.\/src\/([^"]+)\.ts"/g, "\"./dist/$1.js\"")
  return JSON.stringify({ ...rest, exports: JSON.parse(exports) }, null, 2)
}

for (const name of names) fs.rmSync(path.join(packages, name, "dist"), { recursive: true, force: true })
run(process.execPath, [path.join(root, "node_modules/typescript/bin/tsc"), "-b", ...names], packages)

for (const name of names) {
  const source = path.join(packages, name)
  const copy = path.join(target, name)
  fs.rmSync(copy, { recursive: true, force: true })
  fs.cpSync(source, copy, {
    recursive: true,
    filter: (file) => !/tsconfig|tsbuildinfo|node_modules/.test(path.basename(file))
  })
  fs.copyFileSync(path.join(root, "LICENSE"), path.join(copy, "LICENSE"))
  fs.writeFileSync(
    path.join(copy, "package.json"),
    publicManifest(fs.readFileSync(path.join(source, "package.json"), "utf8"))
  )
  run("npm", ["pack", "--silent", "--pack-destination", target], copy)
}
