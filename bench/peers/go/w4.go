package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/weedge/pipeline-go/pkg/frames"
	"github.com/weedge/pipeline-go/pkg/processors"
)

const childMark = "BENCH_W4_CHILD"

// A panic in one of its goroutines ends the process, so that W4 runs in a child and the parent tells.
func w4InChild(variant string, count int) []byte {
	executable, err := os.Executable()
	if err != nil {
		panic(err)
	}
	child := exec.Command(executable, "w4", variant, "--frames", strconv.Itoa(count))
	child.Env = append(os.Environ(), childMark+"=1")
	var stdout, stderr bytes.Buffer
	child.Stdout, child.Stderr = &stdout, &stderr
	timer := time.AfterFunc(30*time.Second, func() { child.Process.Kill() })
	err = child.Run()
	timer.Stop()
	// The child prints after the first interruption, then goes on interrupting, which is when it may crash.
	result, notes := values{}, "five interruptions survived"
	first, _, _ := strings.Cut(stdout.String(), "\n")
	var printed struct{ Values values }
	if json.Unmarshal([]byte(first), &printed) == nil && printed.Values != nil {
		result = printed.Values
	}
	if err != nil {
		reason, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		notes = fmt.Sprintf("crashes within five interruptions (%v): %s", err, reason)
	}
	return line("w4", variant, result, notes)
}

func w4(variant string, count int) values {
	type arrival struct {
		at    time.Time
		frame frames.Frame
	}
	arrivals := make(chan arrival, 100_000)
	middle := &slow{FrameProcessor: processors.NewFrameProcessor("slow")}
	count = or(count, 1_000)
	// Its default of 128 would hold up the producer, and the interruption behind it.
	first := processors.NewAsyncFrameProcessorWithPushQueueSize("queued", 2*count, 0).WithPorcessFrameAllowPush(true)
	s := start([]processors.IFrameProcessor{first, middle, newQueued()}, func(frame frames.Frame) {
		arrivals <- arrival{time.Now(), frame}
	})
	round := func() values {
		goal := middle.done.Load() + 80
		for range count {
			s.direct(frames.NewTextFrame(text))
		}
		for middle.done.Load() < goal {
			time.Sleep(100 * time.Microsecond)
		}
		for len(arrivals) > 0 {
			<-arrivals
		}
		began, fresh := time.Now(), frames.NewTextFrame("new")
		s.task.QueueFrame(frames.NewStartInterruptionFrame())
		s.task.QueueFrame(fresh)
		result, stale, copies := values{"newFrameMs": nil}, 0, 0
		for settled := time.After(3 * time.Second); ; {
			select {
			case seen := <-arrivals:
				switch frame := seen.frame.(type) {
				case *frames.StartInterruptionFrame:
					copies++
				case *frames.TextFrame:
					if frame != fresh {
						stale++
						break
					}
					result["newFrameMs"] = float64(seen.at.Sub(began).Microseconds()) / 1000
					settled = time.After(200 * time.Millisecond) // stragglers
				}
			case <-settled:
				result["stale"], result["copies"] = stale, copies
				return result
			}
		}
	}
	result := round()
	os.Stdout.Write(line("w4", variant, result, ""))
	for range 4 {
		round()
	}
	return result
}
