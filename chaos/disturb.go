package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// Names of what is counted.
const (
	killsNote     = "kills"
	pausesNote    = "pauses"
	faultsNote    = "network faults"
	handNote      = "kills of a worker with parts in hand"
	apiKillsNote  = "kills of the API"
	pauseHandNote = "pauses of a worker with parts in hand"
	sparedNote    = "kills and pauses that were left out: of a worker with a part in its last turn alone"
)

// settle is how long a statement that was sent before its process was stopped may still take.
const settle = 50 * time.Millisecond

// disturber kills and stops processes and breaks connections, in an order that the seed decides.
type disturber struct {
	*world
	rounds   *rounds
	random   *rand.Rand
	begin    time.Time
	kills    []kill
	refusals int
	removed  []settled // by their customers, in a dispute
	paused   sync.WaitGroup
}

// kill is the end of a worker that had parts in hand.
type kill struct {
	at    time.Time // by the clock of the database
	parts []partKey
}

type partKey struct {
	prediction       int64
	generation, part int
}

func newDisturber(w *world, r *rounds) *disturber {
	return &disturber{world: w, rounds: r, random: rand.New(rand.NewPCG(w.config.Seed, 2)), begin: time.Now()}
}

// run disturbs until ctx ends or all was done that is wanted; everything goes on when it returns.
func (d *disturber) run(ctx context.Context) {
	defer d.paused.Wait()
	mishaps, stop := context.WithCancel(ctx)
	defer stop()
	d.paused.Go(func() { d.mishaps(mishaps) })
	for ctx.Err() == nil && d.more() {
		wait(ctx, min(time.Duration(d.random.ExpFloat64()*float64(d.config.Every)), 3*d.config.Every))
		if ctx.Err() != nil {
			return
		}
		switch dice := d.random.IntN(100); {
		case dice < 57:
			d.kill(ctx)
		case dice < 78:
			d.pause(ctx)
		case dice < 85:
			d.flipBits(ctx)
		case dice < 92 || d.gate.refusal.Load() != nil:
			d.breakLink(ctx)
		default:
			d.refuse(ctx)
		}
	}
}

func (d *disturber) more() bool {
	if passed := time.Since(d.begin); d.config.For > 0 {
		return passed < d.config.For || passed < 2*d.config.For && d.wanting()
	}
	return d.notes.count(killsNote) < d.config.Kills || d.notes.count(pausesNote) < d.config.Pauses || d.wanting()
}

// wanting reports whether some mishap has not come often enough. After a violation it returns false.
func (d *disturber) wanting() bool {
	return d.notes.bad() == 0 && len(d.notes.fewer(d.config.Each)) > 0
}

// kill is kill -9, of the API once in eight times. A worker whose part is in its last turn alone is spared.
func (d *disturber) kill(ctx context.Context) {
	victim := d.api
	if d.random.IntN(8) > 0 {
		victim = d.workers[d.random.IntN(len(d.workers))]
	}
	at, parts := d.inHand(ctx, victim)
	if !victim.signal(syscall.SIGSTOP) {
		return // it is being started
	}
	wait(ctx, settle)
	if d.lastTurn(ctx, victim) {
		d.notes.add(sparedNote)
		victim.carryOn()
		return
	}
	if !victim.signal(syscall.SIGKILL) {
		return
	}
	d.notes.add(killsNote)
	if victim == d.api {
		d.notes.add(apiKillsNote)
	}
	if len(parts) > 0 {
		d.notes.add(handNote)
	}
	d.kills = append(d.kills, kill{at, parts})
	d.write("killed %s with %d parts in hand", victim.name, len(parts))
}

// pause stops a worker, or seldom the API, for longer than a lease. At most half of the workers at a time.
func (d *disturber) pause(ctx context.Context) {
	length := d.config.Lease*5/4 + time.Duration(d.random.Int64N(int64(d.config.Lease)*5/4))
	victim := d.api
	if d.random.IntN(10) > 0 {
		victim = d.workers[d.random.IntN(len(d.workers))]
	}
	if d.pausedWorkers() >= max(1, len(d.workers)/2) {
		return
	}
	_, parts := d.inHand(ctx, victim)
	if !victim.stop() {
		return
	}
	if wait(ctx, settle); d.lastTurn(ctx, victim) {
		d.notes.add(sparedNote)
		victim.resume()
		return
	}
	d.notes.add(pausesNote)
	if len(parts) > 0 {
		d.notes.add(pauseHandNote)
	}
	d.write("stopped %s with %d parts in hand for %s", victim.name, len(parts), length)
	d.paused.Go(func() {
		wait(ctx, length)
		victim.resume()
	})
}

func (d *disturber) pausedWorkers() (n int) {
	for _, p := range d.workers {
		p.mu.Lock()
		if p.paused {
			n++
		}
		p.mu.Unlock()
	}
	return n
}

// stop is SIGSTOP. It says no if the process does not run or is stopped already.
func (p *process) stop() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child == nil || p.paused || p.child.Signal(syscall.SIGSTOP) != nil {
		return false
	}
	p.paused = true
	return true
}

func (p *process) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != nil && p.paused && p.child.Signal(syscall.SIGCONT) == nil {
		p.paused = false
	}
}

// carryOn ends a stop that is not a pause.
func (p *process) carryOn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != nil && !p.paused {
		_ = p.child.Signal(syscall.SIGCONT)
	}
}

func (d *disturber) breakLink(ctx context.Context) {
	l := d.network.links[d.random.IntN(len(d.network.links))]
	fault := d.random.IntN(len(faults))
	length := time.Duration(300+d.random.IntN(2700)) * time.Millisecond
	d.paused.Go(func() {
		begin := time.Now()
		if l.suffer(ctx, fault, length) {
			d.notes.add(faultsNote)
			d.notes.add("  " + l.name + " " + faults[fault].name)
			d.write("%s was %s for %s", l.name, faults[fault].name, time.Since(begin))
		}
	})
}

// inHand returns the parts that a worker holds at the moment.
func (d *disturber) inHand(ctx context.Context, p *process) (at time.Time, parts []partKey) {
	name, ready := p.workerName()
	if !ready {
		name = ""
	}
	if err := d.db.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&at); err != nil {
		return at, nil
	}
	rows, err := d.db.Query(ctx, `
		SELECT prediction_id, generation, part_no FROM prediction_parts
		WHERE worker = $1 AND status = 'open' AND lease_until > clock_timestamp()`, name)
	if err != nil {
		return at, nil
	}
	defer rows.Close()
	for rows.Next() {
		var k partKey
		if rows.Scan(&k.prediction, &k.generation, &k.part) == nil {
			parts = append(parts, k)
		}
	}
	return at, parts
}
