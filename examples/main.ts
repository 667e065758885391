import { Frame } from "@apipeline/core"
import { Sock } from "@apipeline/node"
console.log(Frame.make("a"), Sock.sock._tag.length, process.argv.slice(2), process.version)
