package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// attack is what a hostile caller does while another uses the service.
type attack struct {
	name    string
	do      func(ctx context.Context, a *attacker, n int)
	callers int
	slow    bool // few bytes: it must not be felt; else a flood
}

// attacks in the order of the report.
var attacks = []attack{
	{"1 slow sender", slowSenders, 1, true},
	{"4 slow senders", slowSenders, 4, true},
	{"32 slow senders", slowSenders, 32, true},
	{"300 slow senders", slowSenders, 300, true},
	{"300 readers of an asset that do not read", slowAssets, 300, true},
	{"150 readers of a packed download that do not read", slowDownloads, 150, true},
	{"flood of access keys", keyFlood, 8, false},
	{"flood of assets", assetFlood, 8, false},
	{"flood of event streams", streamFlood, 300, false},
}

// What is promised of each attack; see docs/security.md.
const (
	slowFactorMax  = 2
	floodFactorMax = 5
	abuseMemoryMax = 512 << 20
	abuseSettle    = 6 * time.Second // until slow clients count as slow
)

// observed is what the victim saw of one attack in one run.
type observed struct {
	attack   attack
	limits   bool
	requests int
	failures int
	first    string // failure
	factor   float64
}

// abuse runs every attack against a server with its default limits, and against one without rate limits. It reports the
// medians of ABUSE_RUNS (5) runs, of ABUSE_SECONDS (8) for each attack whose name contains ABUSE_ATTACKS.
func abuse(ctx context.Context, c config) error {
	runs, err := positive("ABUSE_RUNS", 5)
	if err != nil {
		return err
	}
	seconds, err := positive("ABUSE_SECONDS", 8)
	if err != nil {
		return err
	}
	var seen []observed
	var peak int64
	for run := range runs {
		for _, limits := range []bool{true, false} {
			list, most, err := abuseRun(ctx, c, limits, time.Duration(seconds)*time.Second)
			if err != nil {
				return fmt.Errorf("run %d: %w", run+1, err)
			}
			seen = append(seen, list...)
			peak = max(peak, most)
		}
	}
	return judgeAbuse(seen, peak)
}

func positive(name string, standard int) (int, error) {
	text := os.Getenv(name)
	if text == "" {
		return standard, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s: %q is not a positive number", name, text)
	}
	return n, nil
}

// abuseRun starts a server and runs every attack once. peak is the most memory that the server held.
func abuseRun(ctx context.Context, c config, limits bool, span time.Duration) (seen []observed, peak int64, err error) {
	s, err := startVictimServer(ctx, c, limits)
	if err != nil {
		return nil, 0, err
	}
	defer s.stop()
	v := &victim{server: s}
	if err := v.prepare(ctx); err != nil {
		return nil, 0, err
	}
	for _, a := range attacks {
		if !strings.Contains(a.name, os.Getenv("ABUSE_ATTACKS")) {
			continue
		}
		quiet := v.watch(ctx, span)
		if quiet.failures > 0 {
			return nil, 0, fmt.Errorf("%d of %d requests failed without an attack: %s", quiet.failures, quiet.requests, quiet.first)
		}
		end, err := s.attack(ctx, a)
		if err != nil {
			return nil, 0, err
		}
		wait(ctx, abuseSettle)
		under := v.watch(ctx, span)
		end()
		if ctx.Err() != nil {
			return nil, 0, errors.New("stopped by a signal")
		}
		o := observed{
			attack: a, limits: limits, requests: under.requests, failures: under.failures, first: under.first,
			factor: under.p95().Seconds() / quiet.p95().Seconds(),
		}
		seen = append(seen, o)
		fmt.Printf("%-52s limits %-5t %3d requests, %d failures %s, P95 %v, quiet %v: %.1f; peak %d MiB\n", a.name, limits, o.requests,
			o.failures, o.first, round(under.p95()), round(quiet.p95()), o.factor, s.peak()>>20)
	}
	return seen, s.peak(), nil
}

// judgeAbuse prints the table for docs/security.md, and returns what does not hold.
func judgeAbuse(seen []observed, peak int64) error {
	var broken []error
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("\n| attack | rate limits | failures | P95, times the quiet one (median) | at most |\n|---|---|---|---|---|\n")
	for _, limits := range []bool{true, false} {
		for _, a := range attacks {
			var factors []float64
			requests, failures := 0, 0
			for _, o := range seen {
				if o.attack.name == a.name && o.limits == limits {
					factors = append(factors, o.factor)
					requests += o.requests
					failures += o.failures
				}
			}
			if len(factors) == 0 {
				continue // not asked for
			}
			slices.Sort(factors)
			most := float64(floodFactorMax)
			if a.slow {
				most = slowFactorMax
			}
			factor := factors[len(factors)/2]
			fmt.Printf("| %s | %s | %d of %d | %.1f | %.0f |\n", a.name, map[bool]string{true: "default", false: "off"}[limits],
				failures, requests, factor, most)
			if failures > 0 || factor > most {
				broken = append(broken, fmt.Errorf("%s, limits %t: %d failures, %.1f times", a.name, limits, failures, factor))
			}
		}
	}
	fmt.Printf("\npeak %d MiB of %d; load average %s", peak>>20, abuseMemoryMax>>20, load)
	if peak > abuseMemoryMax {
		broken = append(broken, fmt.Errorf("the server held %d MiB", peak>>20))
	}
	return errors.Join(broken...)
}
