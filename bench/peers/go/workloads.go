package main

import (
	"bytes"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weedge/pipeline-go/pkg/frames"
	"github.com/weedge/pipeline-go/pkg/pipeline"
	"github.com/weedge/pipeline-go/pkg/processors"
	"github.com/weedge/pipeline-go/pkg/serializers"
)

func w1(variant string, count int) values {
	hops, _ := strconv.Atoi(variant)
	s := start(chain(newInline, hops), nil)
	ns := s.nsPerFrame(s.direct, or(count, map[int]int{1: 3_000_000, 10: 2_000_000, 100: 300_000}[hops]))
	return values{"nsPerHop": ns / float64(hops)}
}

func w2(variant string, count int) values {
	hops, _ := strconv.Atoi(variant)
	s := start(chain(newQueued, hops), nil)
	ns := s.nsPerFrame(s.task.QueueFrame, or(count, map[int]int{1: 500_000, 10: 70_000, 100: 9_000}[hops]))
	return values{"nsPerHop": ns / float64(hops)}
}

func w3(variant string, count int) values {
	kind, asked := newInline, or(count, 200_000)
	if variant == "queued" {
		kind, asked = newQueued, or(count, 20_000)
	}
	s := start(chain(kind, 10), nil)
	push := s.task.QueueFrame
	if variant == "inline" {
		push = s.direct
	}
	samples := make([]float64, 0, asked)
	for i := range asked + asked/5 {
		s.target.Store(s.count.Load() + 1)
		frame := frames.NewTextFrame(text)
		began := time.Now()
		push(frame)
		micros := float64((<-s.reached).Sub(began).Nanoseconds()) / 1000
		if i >= asked/5 { // the first ones are warm-up
			samples = append(samples, micros)
		}
	}
	slices.Sort(samples)
	return values{"p50us": samples[len(samples)/2], "p99us": samples[len(samples)*99/100]}
}

func w5(_ string, count int) values {
	count = or(count, 500)
	begin := func(count int) []*session {
		sessions := make([]*session, count)
		for i := range sessions {
			sessions[i] = open(chain(newQueued, 10), nil)
		}
		for _, s := range sessions {
			<-s.started
		}
		return sessions
	}
	end := func(sessions []*session) {
		for _, s := range sessions {
			s.task.QueueFrame(frames.NewEndFrame())
		}
		for _, s := range sessions {
			<-s.ended
		}
	}
	per := func(value float64) float64 { return value / float64(count) }
	end(begin(10)) // warm-up
	debug.FreeOSMemory()
	heap, rss, tasks, before := heapKiB(), rssKiB(), runtime.NumGoroutine(), cpu()
	sessions := begin(count)
	started := cpu() - before
	debug.FreeOSMemory()
	result := values{
		"heapKiB": per(heapKiB() - heap),
		"rssKiB":  per(rssKiB() - rss),
		"tasks":   per(float64(runtime.NumGoroutine() - tasks)),
		"startUs": per(float64(started.Microseconds())),
	}
	before = cpu()
	end(sessions)
	result["stopUs"] = per(float64((cpu() - before).Microseconds()))
	clear(sessions)
	time.Sleep(1500 * time.Millisecond) // its loops hold a timer of one second
	debug.FreeOSMemory()
	result["left"] = max(0, per(heapKiB()-heap))
	result["leftTasks"] = per(float64(runtime.NumGoroutine() - tasks))
	return result
}

func perCPUSecond(count int, operation func() error) float64 {
	run := func(count int) {
		for range count {
			if err := operation(); err != nil {
				panic(err)
			}
		}
	}
	run(count / 5)
	before := cpu()
	run(count)
	return float64(count) / (cpu() - before).Seconds()
}

func w6(variant string, count int) values {
	form, kind, _ := strings.Cut(variant, "-")
	var frame frames.Frame = frames.NewTextFrame(text)
	if kind == "audio" {
		frame = frames.NewAudioRawFrame(bytes.Repeat([]byte{0, 1, 2, 255}, 160), 16_000, 1, 2)
	}
	var serializer interface {
		Serialize(frames.Frame) ([]byte, error)
		Deserialize([]byte) (frames.Frame, error)
	} = serializers.NewProtobufSerializer()
	if form == "json" {
		serializer = serializers.NewJsonSerializer()
	}
	wire, err := serializer.Serialize(frame)
	if err != nil {
		panic(err)
	}
	asked := or(count, map[string]int{"proto": 600_000, "json": 150_000}[form])
	encode := func() error { _, err := serializer.Serialize(frame); return err }
	decode := func() error { _, err := serializer.Deserialize(wire); return err }
	return values{"encPerSec": perCPUSecond(asked, encode), "decPerSec": perCPUSecond(asked, decode)}
}

func w7(variant string, count int) values {
	kind := newInline
	if variant == "queued" {
		kind = newQueued
	}
	branches := make([][]processors.IFrameProcessor, 4)
	for i := range branches {
		branches[i] = chain(kind, 2)
	}
	s := open([]processors.IFrameProcessor{pipeline.NewParallelPipeline(branches...)}, nil)
	s.sink.seen = map[*frames.TextFrame]bool{} // before the first text frame
	<-s.started
	ns := s.nsPerFrame(s.task.QueueFrame, or(count, 50_000))
	return values{"usPerFrame": ns / 1000}
}
