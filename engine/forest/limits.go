package forest

import "time"

// Limits bounds what reading a model may cost. A field that is zero has the value of DefaultLimits.
//
// Beside the file itself, reading takes at most the file's size plus 64 MiB of live memory.
type Limits struct {
	FileBytes  int
	Trees      int
	Nodes      int // inner nodes and leaves of all trees together
	Depth      int
	Classes    int
	Features   int
	Categories int           // the largest category code plus one
	LoadTime   time.Duration // reading and checking together
}

// DefaultLimits returns the limits for models that an operator installs.
func DefaultLimits() Limits {
	return Limits{
		FileBytes:  256 << 20,
		Trees:      50_000,
		Nodes:      20_000_000,
		Depth:      512,
		Classes:    1_000,
		Features:   100_000,
		Categories: 1 << 24,
		LoadTime:   60 * time.Second,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ value, fallback *int }{
		{&l.FileBytes, &d.FileBytes},
		{&l.Trees, &d.Trees},
		{&l.Nodes, &d.Nodes},
		{&l.Depth, &d.Depth},
		{&l.Classes, &d.Classes},
		{&l.Features, &d.Features},
		{&l.Categories, &d.Categories},
	} {
		if *f.value == 0 {
			*f.value = *f.fallback
		}
	}
	if l.LoadTime == 0 {
		l.LoadTime = d.LoadTime
	}
	return l
}

// meter spends the limits while a file is read: code that is about to allocate or to loop asks it first.
type meter struct {
	limits   Limits
	memory   int // bytes that may still be allocated
	nodes    int // nodes and leaves that may still be read
	steps    int // work done since the clock was last read
	deadline time.Time
}

func newMeter(limits Limits, fileBytes int) *meter {
	// The spare 16 MiB cover what is not metered: growth of small slices, error texts, the runtime's own.
	const fixed = 48 << 20
	return &meter{
		limits:   limits,
		memory:   fileBytes + fixed,
		nodes:    limits.Nodes,
		deadline: time.Now().Add(limits.LoadTime),
	}
}

// take asks for count values of size bytes. Count may come straight from a file.
func (m *meter) take(count, size int) error {
	if count < 0 || count > m.memory/size {
		return fault(KindLimits, "model needs more memory than its file size plus 64 MiB")
	}
	m.memory -= count * size
	return nil
}

// giveBack returns what a finished step took.
func (m *meter) giveBack(count, size int) { m.memory += count * size }

// takeNodes asks for inner nodes and leaves.
func (m *meter) takeNodes(count int) error {
	if count > m.nodes {
		return fault(KindLimits, "model has more than %d nodes", m.limits.Nodes)
	}
	m.nodes -= count
	return nil
}

// step records work (bytes or values) and fails when the load time is spent.
func (m *meter) step(work int) error {
	const between = 1 << 18
	m.steps += work
	if m.steps < between {
		return nil
	}
	m.steps = 0
	if time.Now().After(m.deadline) {
		return fault(KindLimits, "model takes longer than %s to read", m.limits.LoadTime)
	}
	return nil
}
