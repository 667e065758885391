import type { Frame } from "@apipeline/core"
import * as F from "@apipeline/core/Frame"
import { readFileSync } from "node:fs"
export const sock: Frame.Frame = F.make(String(readFileSync))
