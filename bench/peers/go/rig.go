package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weedge/pipeline-go/pkg/frames"
	"github.com/weedge/pipeline-go/pkg/pipeline"
	"github.com/weedge/pipeline-go/pkg/processors"
)

const (
	text  = "twenty characters..." // 20 characters, as in W6
	down  = processors.FrameDirectionDownstream
	chunk = 256 // frames in flight, as for the Python peers
)

func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func rssKiB() float64 {
	content, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0 // not Linux
	}
	pages, _ := strconv.ParseFloat(strings.Fields(string(content))[1], 64)
	return pages * float64(os.Getpagesize()) / 1024
}

func heapKiB() float64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc+stats.StackInuse) / 1024 // a goroutine's stack is what a closure is elsewhere
}

type inline struct{ *processors.FrameProcessor }

func (p *inline) ProcessFrame(frame frames.Frame, direction processors.FrameDirection) {
	p.FrameProcessor.ProcessFrame(frame, direction)
	p.PushFrame(frame, direction)
}

func newInline() processors.IFrameProcessor { return &inline{processors.NewFrameProcessor("inline")} }

// The hop with a queue and a goroutine; its pushes wait for room only because the task says IsPushBlock.
func newQueued() processors.IFrameProcessor {
	return processors.NewAsyncFrameProcessor("queued").WithPorcessFrameAllowPush(true)
}

type slow struct {
	*processors.FrameProcessor
	done atomic.Int64
}

func (p *slow) ProcessFrame(frame frames.Frame, direction processors.FrameDirection) {
	p.FrameProcessor.ProcessFrame(frame, direction)
	if _, ok := frame.(*frames.TextFrame); ok {
		time.Sleep(time.Millisecond)
		p.done.Add(1)
	}
	p.PushFrame(frame, direction)
}

// sink counts text frames and says when the expected one came.
type sink struct {
	*processors.FrameProcessor
	count, target atomic.Int64
	reached       chan time.Time
	started       chan struct{}
	note          func(frames.Frame)
	seen          map[*frames.TextFrame]bool // set in W7 only: the join of the branches has no de-duplication
	order         []*frames.TextFrame
}

// remembered bounds the ids kept at W7's join; the copies of a frame are never this far apart.
const remembered = 4 * chunk

func (p *sink) ProcessFrame(frame frames.Frame, direction processors.FrameDirection) {
	p.FrameProcessor.ProcessFrame(frame, direction)
	if p.note != nil {
		p.note(frame)
	}
	switch frame := frame.(type) {
	case *frames.TextFrame:
		if p.seen != nil {
			if p.seen[frame] {
				return
			}
			p.seen[frame] = true
			if p.order = append(p.order, frame); len(p.order) > remembered {
				delete(p.seen, p.order[0])
				p.order = p.order[1:]
			}
		}
		if p.count.Add(1) == p.target.Load() {
			p.reached <- time.Now()
		}
	case *frames.StartFrame:
		select {
		case p.started <- struct{}{}:
		default: // a parallel pipeline passes one copy a branch
		}
	}
}

type session struct {
	*sink
	pipeline *pipeline.Pipeline
	task     *pipeline.PipelineTask
	ended    chan struct{}
}

func open(procs []processors.IFrameProcessor, note func(frames.Frame)) *session {
	end := &sink{
		FrameProcessor: processors.NewFrameProcessor("sink"),
		reached:        make(chan time.Time, 1),
		started:        make(chan struct{}, 1),
		note:           note,
	}
	s := &session{sink: end, ended: make(chan struct{})}
	s.pipeline = pipeline.NewPipeline(append(procs, end), nil, nil)
	s.task = pipeline.NewPipelineTask(s.pipeline, pipeline.PipelineParams{AllowInterruptions: true, IsPushBlock: true})
	go func() {
		defer close(s.ended)
		s.task.Run()
	}()
	return s
}

func start(procs []processors.IFrameProcessor, note func(frames.Frame)) *session {
	s := open(procs, note)
	<-s.started
	return s
}

func (s *session) stop() {
	s.task.QueueFrame(frames.NewEndFrame())
	<-s.ended
}

// The cheapest way in: no queue of the task's before the first processor.
func (s *session) direct(frame frames.Frame) { s.pipeline.ProcessFrame(frame, down) }

func (s *session) saturate(push func(frames.Frame), count int) {
	for count > 0 {
		size := min(chunk, count)
		s.target.Store(s.count.Load() + int64(size))
		for range size {
			push(frames.NewTextFrame(text))
		}
		<-s.reached
		count -= size
	}
}

func (s *session) nsPerFrame(push func(frames.Frame), count int) float64 {
	s.saturate(push, max(chunk, count/5)) // warm-up
	before := cpu()
	s.saturate(push, count)
	return float64(cpu()-before) / float64(count)
}

func chain(make_ func() processors.IFrameProcessor, size int) []processors.IFrameProcessor {
	procs := make([]processors.IFrameProcessor, size)
	for i := range procs {
		procs[i] = make_()
	}
	return procs
}

func or(count, otherwise int) int {
	if count > 0 {
		return count
	}
	return otherwise
}
