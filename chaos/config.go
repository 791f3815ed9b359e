package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// config is how long and how much to disturb. Every field is an environment variable; see README.md.
type config struct {
	Millrace string // CHAOS_MILLRACE: the program under test
	// CHAOS_PROMETHEUS: the one that make alerts runs
	Prometheus string
	Seed       uint64        // CHAOS_SEED
	Kills      int           // CHAOS_KILLS: go on until so many processes were killed …
	Pauses     int           // CHAOS_PAUSES: … and so many stopped for longer than a lease
	For        time.Duration // CHAOS_SECONDS: or for so long; 0: until the counts are reached
	Workers    int           // CHAOS_WORKERS: worker processes; one more is the API
	Lease      time.Duration // CHAOS_LEASE
	Every      time.Duration // CHAOS_EVERY: mean time between disturbances
	Files      int           // CHAOS_FILES: of a round
	Rounds     int           // CHAOS_ROUNDS_AT_ONCE
	Stuck      time.Duration // CHAOS_STUCK: a round that takes longer has lost something
	Outage     time.Duration // CHAOS_OUTAGE: how long each server is unavailable in outages
	Each       int           // CHAOS_EACH: and until each kind of mishap came so often
	Keep       string        // CHAOS_KEEP: a directory for the logs of every process

	PartBytes int // 16 KiB are about 150 rows: every file has several parts
	Cores     int // of a process

	Mishaps bool // S3 refuses for a while, sweeps are broken off, and other databases come by
}

func readConfig() (config, error) {
	c := config{
		Millrace: "../bin/millrace", Prometheus: "../bin/tools/prometheus", Seed: uint64(time.Now().UnixNano()), Workers: 4, Lease: 2 * time.Second,
		Every: 600 * time.Millisecond, Files: 6, Rounds: 2, Stuck: 5 * time.Minute, Outage: time.Minute,
		PartBytes: 16 << 10, Cores: 2,
	}
	var wrong error
	read := func(name string, set func(text string) error) {
		if text := os.Getenv(name); text != "" && wrong == nil {
			if err := set(text); err != nil {
				wrong = fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	number := func(to *int) func(string) error {
		return func(text string) (err error) { *to, err = strconv.Atoi(text); return err }
	}
	duration := func(to *time.Duration) func(string) error {
		return func(text string) (err error) { *to, err = time.ParseDuration(text); return err }
	}
	text := func(to *string) func(string) error {
		return func(text string) error { *to = text; return nil }
	}
	read("CHAOS_MILLRACE", text(&c.Millrace))
	read("CHAOS_PROMETHEUS", text(&c.Prometheus))
	read("CHAOS_SEED", func(text string) (err error) { c.Seed, err = strconv.ParseUint(text, 0, 64); return err })
	read("CHAOS_KILLS", number(&c.Kills))
	read("CHAOS_PAUSES", number(&c.Pauses))
	read("CHAOS_SECONDS", func(text string) error { return duration(&c.For)(text + "s") })
	read("CHAOS_WORKERS", number(&c.Workers))
	read("CHAOS_LEASE", duration(&c.Lease))
	read("CHAOS_EVERY", duration(&c.Every))
	read("CHAOS_FILES", number(&c.Files))
	read("CHAOS_ROUNDS_AT_ONCE", number(&c.Rounds))
	read("CHAOS_STUCK", duration(&c.Stuck))
	read("CHAOS_OUTAGE", duration(&c.Outage))
	read("CHAOS_EACH", number(&c.Each))
	read("CHAOS_KEEP", text(&c.Keep))
	if c.Kills == 0 && c.Pauses == 0 && c.For == 0 {
		c.Kills, c.Pauses = 1000, 300
	}
	if c.Each == 0 {
		if c.Each = 20; c.For > 0 {
			c.Each = 1
		}
	}
	return c, wrong
}
