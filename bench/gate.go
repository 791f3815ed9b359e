package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Floors are ratios that were measured, by machine and by name. A machine is a processor as [machine] names it, or
// else a system ("linux/amd64"), whose floors are low enough for any of its processors.
type Floors map[string]map[string]float64

// ReadFloors reads a JSON file of floors.
func ReadFloors(file []byte) (Floors, error) {
	var f Floors
	if err := json.Unmarshal(file, &f); err != nil {
		return nil, fmt.Errorf("read floors: %w", err)
	}
	return f, nil
}

func (f Floors) of(m machine) map[string]float64 {
	if floors, known := f[m.CPU]; known {
		return floors
	}
	return f[m.System]
}

const (
	heldShare    = 0.8 // of a floor, below which a ratio has fallen
	gateRows     = 1024
	gateFileRows = 20_000
	secondTry    = 4 // times as long
)

// errBelowFloor is wrapped in the errors of [Report.BelowFloor]: a ratio is more than a fifth below its floor.
var errBelowFloor = errors.New("below the recorded floor")

// runGate measures the ratios that may not fall, in short turns, and judges them by the floors. What seems to have
// fallen is measured once more, for longer, and its better figure holds: other work on the machine can lower a ratio
// for a while.
func runGate(ctx context.Context, o Options, r *Report) (err error) {
	contests, finish, err := gateContests(ctx, o, r.Machine)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, finish()) }()
	s := newStopwatch(o)
	longer := stopwatch{perContest: secondTry * s.perContest, rounds: s.rounds}
	floors := o.Floors.of(r.Machine)
	if floors == nil || !cpuClock {
		r.Note = "No floors are recorded for this machine: its ratios are reported, not judged."
		floors = nil
	}
	for _, c := range contests {
		if err := r.measure(ctx, s, c); err != nil {
			return err
		}
		goals := r.Comparisons[len(r.Comparisons)-1].gated(floors)
		if slices.ContainsFunc(goals, belowFloor) {
			again, err := longer.measure(ctx, c)
			if err != nil {
				return err
			}
			goals = better(goals, again.gated(floors))
		}
		r.Goals = append(r.Goals, goals...)
	}
	return nil
}

// better takes the higher of two figures for each ratio.
func better(first, second []goal) []goal {
	for i, g := range second {
		if g.Value < first[i].Value {
			second[i] = first[i]
		}
	}
	return second
}

func belowFloor(g goal) bool { return !g.Met }

// BelowFloor returns an error that names each ratio below its floor, nil if there is none.
func (r *Report) BelowFloor() error {
	var sentences []error
	for _, g := range r.Goals {
		if belowFloor(g) {
			sentences = append(sentences, fmt.Errorf("%w: %s is %s times, more than 20 %% below %s times",
				errBelowFloor, g.Name, figure(g.Value), figure(g.Want/heldShare)))
		}
	}
	return errors.Join(sentences...)
}

// gated are the ratios of a comparison that have a floor. Noise that meets one contestant alone moves the median or the
// minima, seldom both: the better of the two counts.
func (c *Comparison) gated(floors map[string]float64) []goal {
	var r Report
	for _, m := range c.Measurements[1:] {
		name := fmt.Sprintf("%s: %s / %s", c.Name, c.Measurements[0].Name, m.Name)
		if floor, recorded := floors[name]; recorded {
			r.atLeast(name, heldShare*floor, "x", max(m.Ratio, m.RatioOfMinima))
		}
	}
	return r.Goals
}

// gateContests prepares all that is compared; finish ends what that has started.
func gateContests(ctx context.Context, o Options, m machine) (contests []contest, finish func() error, err error) {
	w, err := newWorkload(o, engineFeatures, o.pick(gateRows, 64))
	if err != nil {
		return nil, nil, err
	}
	e, err := newEngines(w.forest)
	if err != nil {
		return nil, nil, err
	}
	for _, size := range []int{1, w.kinds[0].rows.Len} {
		c := e.contest(fmt.Sprintf("scores of %d", size), "as in suite engine", w.kinds[0].rows, size)
		contests = append(contests, c.only("leaves", "compiled/"))
	}
	for _, kind := range []string{"unquoted", "quoted"} {
		rows := o.pick(gateFileRows, 100)
		c, err := reading(kind+" "+m.Ingest, CustomerFile(rows, kind == "quoted"), rows)
		if err != nil {
			return nil, nil, err
		}
		contests = append(contests, c.only("encoding/csv", "tokenise+convert"))
	}
	copying, finish, err := gateCopies(ctx, o)
	return append(contests, copying), finish, err
}

// gateCopies needs a PostgreSQL, which takes what is copied; only what the client spends is compared.
func gateCopies(ctx context.Context, o Options) (contest, func() error, error) {
	d, err := openMigrated(ctx, o)
	if err != nil {
		return contest{}, nil, err
	}
	c := copies{database: d, rows: o.pick(gateFileRows, 100)}
	if err := c.prepare(ctx); err != nil {
		return contest{}, nil, errors.Join(err, d.close())
	}
	return c.ofTheClient(ctx), d.close, nil
}

// only keeps the contestants of these names, in this order; a name with a slash at its end stands for all below it.
func (c contest) only(names ...string) contest {
	var kept []contestant
	for _, name := range names {
		for _, x := range c.contestants {
			if x.name == name || strings.HasSuffix(name, "/") && strings.HasPrefix(x.name, name) {
				kept = append(kept, x)
			}
		}
	}
	c.contestants = kept
	return c
}
