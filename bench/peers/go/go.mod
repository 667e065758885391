module bench

go 1.24

// The module publishes no tags: this is a commit that an application of the same author requires. The module proxy
// refused it when this was written, so that there is no go.sum yet: commit the one of the first build that works.
require github.com/weedge/pipeline-go v0.0.0-20251018070827-cb26255476a1
