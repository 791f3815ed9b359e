package bench

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"
)

const (
	turnTime  = 10 * time.Millisecond // how long one turn of a contestant lasts at least
	roundsMin = 5
	roundsMax = 200
)

// contestant is one way to do the work of a comparison.
type contestant struct {
	name string
	rows int // in one operation
	// operate does the i-th operation; i only grows, so that no two turns need see the same rows.
	operate func(i int) error
}

// contest is what one comparison measures. The first contestant is the baseline.
type contest struct {
	name, note  string
	trees       int  // of the model; 0 if there is none
	bytes       int  // of an operation's input; 0 if it does not matter
	wall        bool // time on the wall counts, not that of the cores: several of them work
	contestants []contestant
}

// stopwatch measures contests.
type stopwatch struct {
	perContest time.Duration
	rounds     int // at least
}

func newStopwatch(o Options) stopwatch {
	if o.Quick {
		return stopwatch{rounds: 2}
	}
	return stopwatch{perContest: time.Duration(o.Seconds * float64(time.Second)), rounds: roundsMin}
}

// measure lets the contestants take turns until the time is up: whatever slows the machine for a while slows all of
// them, and the ratio within a round hardly moves.
func (s stopwatch) measure(ctx context.Context, c contest) (Comparison, error) {
	result := Comparison{Name: c.name, Note: c.note, Trees: c.trees, BytesPerOp: c.bytes, Clock: "cpu"}
	if c.wall || !cpuClock {
		result.Clock = "wall"
	}
	players := make([]player, len(c.contestants))
	for i := range players {
		players[i] = player{contestant: c.contestants[i], now: clock(c.wall)}
		if err := players[i].warmUp(s); err != nil {
			return result, fmt.Errorf("%s: %s: %w", c.name, players[i].name, err)
		}
	}
	begin := time.Now()
	for round := 0; round < s.rounds || time.Since(begin) < s.perContest && round < roundsMax; round++ {
		for i := range players {
			if err := ctx.Err(); err != nil {
				return result, err
			}
			if err := players[i].turn(); err != nil {
				return result, fmt.Errorf("%s: %s: %w", c.name, players[i].name, err)
			}
		}
	}
	for i := range players {
		result.Measurements = append(result.Measurements, players[i].measurement(c, &players[0]))
	}
	return result, nil
}

// clock returns the time since some moment.
func clock(wall bool) func() time.Duration {
	if !wall {
		return processTime
	}
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

// player is a contestant with what was measured of it.
type player struct {
	contestant
	now    func() time.Duration
	ops    int // in a turn
	next   int // operation
	nanos  []float64
	allocs float64 // per operation
}

// warmUp runs the first operations, counts what they allocate and decides how many make a turn.
func (p *player) warmUp(s stopwatch) error {
	p.ops = 1
	if _, err := p.run(); err != nil { // buffers grow
		return err
	}
	took, err := p.run()
	if err != nil {
		return err
	}
	if s.perContest > 0 {
		p.ops = int(min(max(turnTime/max(took, 1), 1), 1<<20))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := p.run(); err != nil {
		return err
	}
	runtime.ReadMemStats(&after)
	p.allocs = float64(after.Mallocs-before.Mallocs) / float64(p.ops)
	return nil
}

// run does one turn's operations and returns their time.
func (p *player) run() (time.Duration, error) {
	begin := p.now()
	for range p.ops {
		if err := p.operate(p.next); err != nil {
			return 0, err
		}
		p.next++
	}
	return p.now() - begin, nil
}

func (p *player) turn() error {
	if p.allocs*float64(p.ops) > 1000 {
		defer runtime.GC() // its garbage is its own expense, not the next one's
	}
	took, err := p.run()
	p.nanos = append(p.nanos, max(float64(took.Nanoseconds()), 1)/float64(p.ops))
	return err
}

func (p *player) measurement(c contest, baseline *player) Measurement {
	perOp := median(p.nanos)
	m := Measurement{
		Name: p.name, RowsPerOp: p.rows, OpsPerRound: p.ops, Rounds: p.nanos,
		NsPerOp: perOp, NsPerOpMin: slices.Min(p.nanos),
		RowsPerSecond: float64(p.rows) / perOp * 1e9,
		AllocsPerOp:   p.allocs,
		Ratio:         median(ratios(perRow(baseline), perRow(p))),
	}
	m.RatioOfMinima = slices.Min(perRow(baseline)) / slices.Min(perRow(p))
	if c.trees > 0 {
		cells := float64(p.rows) * float64(c.trees)
		m.NsPerRowTree, m.NsPerRowTreeMin = m.NsPerOp/cells, m.NsPerOpMin/cells
	}
	if c.bytes > 0 {
		m.MBPerSecond = float64(c.bytes) / perOp * 1e3
	}
	return m
}

// perRow is nanoseconds per row, round by round.
func perRow(p *player) []float64 {
	times := slices.Clone(p.nanos)
	for i := range times {
		times[i] /= float64(p.rows)
	}
	return times
}

// ratios divides round by round.
func ratios(above, below []float64) []float64 {
	quotients := make([]float64, len(below))
	for i := range quotients {
		quotients[i] = above[i] / below[i]
	}
	return quotients
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
