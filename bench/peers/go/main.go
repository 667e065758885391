// pipeline-go: `pipeline-go <workload> <variant> [--frames N]`, one JSON line on stdout.
package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strconv"

	"github.com/weedge/pipeline-go/pkg/logger"
)

type values map[string]any

func main() {
	// Logging off, for its own logger and for the standard one. It formats most messages nevertheless.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	logger.Logger = slog.Default()

	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: pipeline-go <workload> <variant> [--frames N]")
		os.Exit(2)
	}
	workload, variant, count := os.Args[1], os.Args[2], 0
	if len(os.Args) > 4 && os.Args[3] == "--frames" {
		count, _ = strconv.Atoi(os.Args[4])
	}
	notes := ""
	if workload == "w4" && os.Getenv(childMark) == "" {
		os.Stdout.Write(w4InChild(variant, count))
		return
	}
	run, ok := map[string]func(string, int) values{"w1": w1, "w2": w2, "w3": w3, "w4": w4, "w5": w5, "w6": w6, "w7": w7}[workload]
	if !ok {
		fmt.Fprintln(os.Stderr, "no such workload:", workload)
		os.Exit(2)
	}
	if workload == "w7" {
		notes = "its join passes every copy: de-duplicated by the measuring program"
	}
	os.Stdout.Write(line(workload, variant, run(variant, count), notes))
}

func line(workload, variant string, result values, notes string) []byte {
	object := map[string]any{"system": "pipeline-go", "workload": workload, "variant": variant, "values": result}
	if notes != "" {
		object["notes"] = notes
	}
	encoded, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return append(encoded, '\n')
}
