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
	next []gap // to the next committed part, while at least one waited
	any  []gap // the same with the time in which no part waited
	own  []gap // to the commit of a part that the killed worker held
}

// gap is a time without what was waited for.
type gap struct {
	from time.Time // by the clock of the database
	long time.Duration
}

// commit is a part in the ledger.
type commit struct {
	part   partKey
	queued time.Time // since when there was something to do about it
	at     time.Time
}

// measure reads the times of all commits from the ledger.
func measure(ctx context.Context, w *world, kills []kill) (r recovery, err error) {
	commits, err := readCommits(ctx, w)
	if err != nil {
		return r, err
	}
	byPart := map[partKey]time.Time{}
	for _, c := range commits {
		byPart[c.part] = c.at
	}
	for _, kill := range kills {
		if next, waited := nextCommit(commits, kill.at); next != nil {
			r.next = append(r.next, gap{waited, next.at.Sub(waited)})
			r.any = append(r.any, gap{kill.at, next.at.Sub(kill.at)})
		}
		for _, part := range kill.parts {
			if at, ok := byPart[part]; ok && at.After(kill.at) {
				r.own = append(r.own, gap{kill.at, at.Sub(kill.at)})
			}
		}
	}
	for _, gaps := range [][]gap{r.next, r.any, r.own} {
		slices.SortFunc(gaps, func(a, b gap) int { return int(a.long - b.long) })
	}
	return r, nil
}

// readCommits lists the commits of all parts in order. A generation that an operator's retry replaced was there since
// its file was.
func readCommits(ctx context.Context, w *world) ([]commit, error) {
	rows, err := w.db.Query(ctx, `
		SELECT p.prediction_id, p.generation, p.part_no,
		       CASE WHEN p.generation = d.generation THEN d.queued_at ELSE d.created_at END, p.done_at
		FROM prediction_parts p JOIN predictions d ON d.id = p.prediction_id
		WHERE p.done_at IS NOT NULL ORDER BY p.done_at`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c commit, err error) {
		err = row.Scan(&c.part.prediction, &c.part.generation, &c.part.part, &c.queued, &c.at)
		return c, err
	})
}

// nextCommit is the first commit after a kill, nil if there is none, and since when a part waited: since the kill, or
// since a file came after it.
func nextCommit(commits []commit, kill time.Time) (next *commit, waited time.Time) {
	i, _ := slices.BinarySearchFunc(commits, kill, func(c commit, at time.Time) int { return c.at.Compare(at) })
	if i == len(commits) {
		return nil, kill
	}
	waited = commits[i].queued
	for _, c := range commits[i:] {
		if c.queued.Before(waited) {
			waited = c.queued
		}
	}
	if waited.Before(kill) {
		waited = kill
	}
	return &commits[i], waited
}

func percentile(sorted []gap, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*p/100].long.Round(time.Millisecond)
}

func (r recovery) String() string {
	line := func(name string, d []gap) string {
		return fmt.Sprintf("  %s: %d times, P50 %s, P95 %s, longest %s\n",
			name, len(d), percentile(d, 50), percentile(d, 95), percentile(d, 100))
	}
	return line("from a kill to the next committed part, while one waited", r.next) +
		line("the same with the time in which none waited", r.any) +
		line("from a kill to the commit of a part that the killed worker held", r.own)
}

// longest writes down when the longest gaps were, for the logs of that time.
func (r recovery) longest(w *world) {
	for _, gaps := range [][]gap{r.next, r.own} {
		for _, g := range gaps[len(gaps)*9/10:] {
			w.write("gap of %s from %s", g.long, g.from.UTC().Format(time.RFC3339Nano))
		}
	}
}
