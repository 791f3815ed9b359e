package metrics

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/retainwise/millrace/engine"
)

func (m *Metrics) makeProcess() {
	m.sampledGauge("memory_used_bytes", "Memory that the Go runtime holds.", "", "", memoryUsed)
	limit := memoryLimit("/sys/fs/cgroup/memory.max")
	m.sampledGauge("memory_limit_bytes", "Memory that the process may hold, by GOMEMLIMIT or its control group; "+
		"+Inf: no limit.", "", "", func() float64 { return limit })
	build := m.gauges("build_info", "1; its labels say what runs.", "version", "revision", "engine_version", "go_version")
	version, revision := buildOf(debug.ReadBuildInfo())
	build.WithLabelValues(version, revision, engine.Version, runtime.Version()).Set(1)
	m.makeDisk()
}

// memoryUsed returns the bytes that count against a limit: mapped by the runtime and not released.
func memoryUsed() float64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return float64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}

// memoryLimit returns the lower of the runtime's limit and the control group's, which it reads from file; +Inf without one.
func memoryLimit(file string) float64 {
	limit := math.Inf(1)
	if runtimeLimit := debug.SetMemoryLimit(-1); runtimeLimit < math.MaxInt64 {
		limit = float64(runtimeLimit)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return limit
	}
	if group, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64); err == nil {
		limit = min(limit, group)
	}
	return limit
}

// buildOf returns the version and the revision of the program, or "unknown" if the build did not record them.
func buildOf(info *debug.BuildInfo, ok bool) (version, revision string) {
	version, revision = "unknown", "unknown"
	if !ok {
		return version, revision
	}
	if info.Main.Version != "" {
		version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return version, revision
}

// watchedDir is the directory of the disk metrics.
type watchedDir struct{ path atomic.Pointer[string] }

func (m *Metrics) makeDisk() {
	sampled := func(of func(size, free float64) float64) func() float64 {
		return func() float64 {
			if dir := m.disk.path.Load(); dir != nil {
				return of(diskSpace(*dir))
			}
			return 0
		}
	}
	m.sampledGauge("disk_size_bytes", "Size of the file system of the data directory; 0: not known.", "", "",
		sampled(func(size, _ float64) float64 { return size }))
	m.sampledGauge("disk_free_bytes", "What is free of it for us.", "", "",
		sampled(func(_, free float64) float64 { return free }))
}

// WatchDisk sets the directory of the disk metrics.
func (m *Metrics) WatchDisk(dir string) { m.disk.path.Store(&dir) }
