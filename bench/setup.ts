/**
 * Installs what the benchmark compares with, unless that has been done, and has protobufjs and ts-proto generate their
 * code for frames.proto. None of the packages' install scripts runs.
 */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"

const here = fileURLToPath(new URL(".", import.meta.url))
const stamp = `${here}.scratch/stamp`

const fingerprint = (): string => {
  const hash = createHash("sha256")
  for (const file of ["package.json", "package-lock.json", "frames.proto", "setup.ts"]) {
    hash.update(readFileSync(here + file))
  }
  return hash.digest("hex")
}

const run = (command: string, args: ReadonlyArray<string>, input?: Uint8Array): Buffer => {
  const { error, status, stderr, stdout } = spawnSync(command, args, {
    cwd: here,
    shell: command === "npm" && process.platform === "win32",
    ...input !== undefined && { input },
    maxBuffer: 1 << 28
  })
  if (status !== 0) throw error ?? new Error(`${command} ${args.join(" ")}:\n${stderr}`)
  return stdout
}

/** protoc's part, without protoc: protobufjs parses the file, and ts-proto gets a request of hand-made bytes. */
const generate = (): void => {
  const require = createRequire(import.meta.url)
  const root = require("protobufjs").parse(readFileSync(`${here}frames.proto`, "utf8")).root.resolveAll()
  const { FileDescriptorSet } = require("protobufjs/ext/descriptor")
  const set = root.toDescriptor("proto3")
  const [file] = set.file
  file.name = "frames.proto"
  for (const { field } of file.messageType) {
    for (const of of field) if (of.typeName) of.typeName = `.${file.package}.${of.typeName}` // as protoc resolves them
  }
  writeFileSync(`${here}.scratch/frames.descriptor`, FileDescriptorSet.encode(set).finish())
  const Request = require("protobufjs").parse(`syntax = "proto2";
    message Request { repeated string file_to_generate = 1; optional string parameter = 2; repeated bytes files = 15; }
    message File { required string name = 1; required string content = 15; }
    message Response { optional string error = 1; repeated File file = 15; }`).root
  const request = Request.lookupType("Request").encode({
    fileToGenerate: ["frames.proto"],
    parameter: "onlyTypes=false,outputServices=none,outputJsonMethods=false,outputPartialMethods=false," +
      "outputTypeRegistry=false,esModuleInterop=true,importSuffix=.js,oneof=properties",
    files: [require("protobufjs/ext/descriptor").FileDescriptorProto.encode(file).finish()]
  }).finish()
  const plugin = `${here}node_modules/ts-proto/protoc-gen-ts_proto`
  const response: any = Request.lookupType("Response").decode(run(process.execPath, [plugin], request))
  if (response.error) throw new Error(response.error)
  writeFileSync(`${here}.scratch/tsProto.ts`, response.file[0].content)
  const pbjs = `${here}node_modules/protobufjs-cli/bin/pbjs`
  const options = ["-t", "static-module", "-w", "es6", "--no-verify", "--no-convert", "--no-delimited", "--no-comments"]
  run(process.execPath, [pbjs, ...options, "-o", ".scratch/protobufjs.mjs", "frames.proto"])
}

/** Says why when it fails: the systems that need no packages can be measured all the same. */
export const setUp = (): void => {
  if (existsSync(stamp) && existsSync(`${here}node_modules`) && readFileSync(stamp, "utf8") === fingerprint()) return
  console.error("Installing what the benchmark compares with (bench/node_modules) ...")
  try {
    mkdirSync(`${here}.scratch`, { recursive: true })
    const options = [
      "--ignore-scripts",
      "--omit=optional",
      "--omit=peer",
      "--no-audit",
      "--no-fund",
      "--loglevel=error"
    ]
    run("npm", ["ci", ...options])
    generate()
    writeFileSync(stamp, fingerprint())
  } catch (error) {
    console.error(`Not installed, and so not measured: ${String(error)}`)
  }
}

if (import.meta.main) setUp()
