import { it } from "@effect/vitest"
import { dependency, node } from "./utils/run.ts"

it("types (test/types/*.tst.ts)", () => {
  // TypeScript 7 has no API for tools yet: TSTyche runs on the last TypeScript that has one
  node([dependency("tstyche/dist/bin.js")], { env: { TSTYCHE_TYPESCRIPT_MODULE: "typescript6" } })
}, 60_000)
