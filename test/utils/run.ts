import { assert } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as path from "node:path"

export const root = path.resolve(import.meta.dirname, "../..")

/** Runs a command to its end; unless it succeeds, what it printed is the failure. Gives its output. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd?: string; readonly env?: Record<string, string>; readonly input?: string } = {}
): string => {
  const { error, status, stderr, stdout } = spawnSync(command, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    encoding: "utf8",
    input: options.input ?? "",
    timeout: 60_000
  })
  assert.strictEqual(status, 0, `${command} ${args.join(" ")}\n${error ?? ""}\n${stdout}\n${stderr}`)
  return stdout
}

/** Runs the JavaScript or TypeScript file of a program. */
export const node = (args: ReadonlyArray<string>, options?: Parameters<typeof run>[2]): string =>
  run(process.execPath, args, options)

/** The path of a file in a dependency, for tools that are programs. */
export const dependency = (file: string): string => path.join(root, "node_modules", file)
