package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// recovery is how long after a kill things went on.
type recovery struct {
	next []time.Duration // to the next part that anybody committed
	own  []time.Duration // to the commit of a part that the killed worker held
}

// measure reads the times of all commits from the ledger.
func measure(ctx context.Context, w *world, kills []kill) (r recovery, err error) {
	rows, err := w.db.Query(ctx, `
		SELECT prediction_id, generation, part_no, done_at FROM prediction_parts WHERE done_at IS NOT NULL`)
	if err != nil {
		return r, err
	}
	var times []time.Time
	byPart := map[partKey]time.Time{}
	var k partKey
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&k.prediction, &k.generation, &k.part, &at}, func() error {
		times = append(times, at)
		byPart[k] = at
		return nil
	})
	slices.SortFunc(times, time.Time.Compare)
	for _, kill := range kills {
		i, _ := slices.BinarySearchFunc(times, kill.at, time.Time.Compare)
		if i < len(times) {
			r.next = append(r.next, times[i].Sub(kill.at))
		}
		for _, part := range kill.parts {
			if at, ok := byPart[part]; ok && at.After(kill.at) {
				r.own = append(r.own, at.Sub(kill.at))
			}
		}
	}
	slices.Sort(r.next)
	slices.Sort(r.own)
	return r, err
}

func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*p/100].Round(time.Millisecond)
}

func (r recovery) String() string {
	line := func(name string, d []time.Duration) string {
		return fmt.Sprintf("  %s: %d times, P50 %s, P95 %s, longest %s\n",
			name, len(d), percentile(d, 50), percentile(d, 95), percentile(d, 100))
	}
	return line("from a kill to the next committed part", r.next) +
		line("from a kill to the commit of a part that the killed worker held", r.own)
}
