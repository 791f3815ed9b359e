package bench

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/cpu"

	"github.com/retainwise/millrace/engine/forest"
)

// machine describes what the figures were measured on.
type machine struct {
	CPU         string   `json:"cpu"`
	Cores       int      `json:"cores"` // that the process may use
	System      string   `json:"system"`
	Go          string   `json:"go"`
	Kernels     []string `json:"kernels"`        // of the engine, the one in use last
	Ingest      string   `json:"ingest"`         // "vectors" or "portable"
	LoadAverage string   `json:"load,omitempty"` // over a minute, before: above 0.5 others were at work too
}

func describeMachine() machine {
	m := machine{
		CPU: cpuName(), Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
		Kernels: forest.Kernels(), Ingest: "portable",
	}
	if vectorBuild && cpu.X86.HasAVX2 {
		m.Ingest = "vectors"
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.LoadAverage, _, _ = strings.Cut(string(load), " ")
	}
	return m
}

// cpuName returns the first processor's name as Linux reports it, elsewhere the architecture.
func cpuName() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer func() { _ = file.Close() }()
	facts := map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan() && lines.Text() != ""; {
		key, value, _ := strings.Cut(lines.Text(), ":")
		facts[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	if facts["model name"] == "" {
		return runtime.GOARCH
	}
	return fmt.Sprintf("%s, family %s model %s", facts["model name"], facts["cpu family"], facts["model"])
}
