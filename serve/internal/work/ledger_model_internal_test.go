package work

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/backoff"
)

// ledgerModel is PostgreSQL as workers see it: each method does in memory, at one instant of virtual time, what the
// statements of the same name in package store do, with their conditions. A commit takes time and holds its part's row
// meanwhile, which claims pass over and other statements wait for.
type ledgerModel struct {
	fenced      bool // false: commits do not ask whether the claim still holds
	lease       time.Duration
	attemptsMax int

	mu          sync.Mutex
	predictions []*modelPrediction
	changes     int // effective statements so far
	violations  []string
}

type modelPrediction struct {
	id             uuid.UUID
	small          bool
	status         store.Status
	generation     int
	parts          []*modelPart
	published      int // of this generation
	finishDue      bool
	finishEpoch    int
	finishAttempts int
	finishLease    time.Time
	finishWorker   string
}

type modelPart struct {
	status   string // open, done, dead
	epoch    int
	attempts int
	lease    time.Time
	worker   string
	locked   bool
	commits  int
}

// add queues a prediction.
func (l *ledgerModel) add(parts int) {
	p := &modelPrediction{id: store.NewID(), small: parts == 1, status: store.Queued, generation: 1}
	for range parts {
		p.parts = append(p.parts, &modelPart{status: "open"})
	}
	l.predictions = append(l.predictions, p)
}

func (l *ledgerModel) violation(format string, args ...any) {
	l.violations = append(l.violations, fmt.Sprintf(format, args...))
}

// change runs an effective statement of a claim, which must be good, whatever the statement asked for.
func (l *ledgerModel) change(c *store.Claim, what string) {
	l.changes++
	p := l.predictions[c.PredictionID]
	epoch := p.finishEpoch
	if !c.Finish && c.Generation == p.generation {
		epoch = p.parts[c.Part.No].epoch
	}
	if c.Generation != p.generation || c.Epoch != epoch {
		l.violation("%s by epoch %d of generation %d changed part %d of %d, which is at epoch %d of generation %d",
			what, c.Epoch, c.Generation, c.Part.No, c.PredictionID, epoch, p.generation)
	}
}

// claimPart takes a part of a large prediction before one of a small one, or only the latter.
func (l *ledgerModel) claimPart(worker string, smallOnly bool) *store.Claim {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, small := range []bool{false, true} {
		for id, p := range l.predictions {
			if p.small != small || smallOnly && !small {
				continue
			}
			if c := l.claimPartOf(id, worker); c != nil {
				return c
			}
		}
	}
	return nil
}

func (l *ledgerModel) claimPartOf(id int, worker string) *store.Claim {
	p, now := l.predictions[id], time.Now()
	for no := 0; no < len(p.parts) && (p.status == store.Queued || p.status == store.Running); no++ {
		part := p.parts[no]
		if part.status != "open" || part.locked || part.lease.After(now) {
			continue
		}
		l.changes++
		part.epoch++
		part.lease = now.Add(l.lease)
		if part.attempts >= l.attemptsMax {
			part.status, p.status = "dead", store.Dead
			continue
		}
		part.attempts++
		part.worker, p.status = worker, store.Running
		return l.claim(id, store.Claim{
			Part: store.Part{No: no, Planned: true}, Epoch: part.epoch, Attempt: part.attempts, Worker: worker,
		})
	}
	return nil
}

func (l *ledgerModel) claim(id int, c store.Claim) *store.Claim {
	c.PredictionID, c.PublicID = int64(id), l.predictions[id].id
	c.Generation, c.Lease = l.predictions[id].generation, l.lease
	return &c
}

func (l *ledgerModel) claimFinish(worker string) *store.Claim {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for id, p := range l.predictions {
		if !p.finishDue || p.finishLease.After(now) {
			continue
		}
		l.changes++
		p.finishEpoch++
		p.finishLease = now.Add(l.lease)
		if p.finishAttempts >= l.attemptsMax {
			p.finishDue, p.status = false, store.Dead
			continue
		}
		p.finishAttempts++
		p.finishWorker = worker
		return l.claim(id, store.Claim{Finish: true, Epoch: p.finishEpoch, Attempt: p.finishAttempts, Worker: worker})
	}
	return nil
}

// holds is the condition that every statement of a claim has; running is asked for where the statement does.
func (l *ledgerModel) holds(c *store.Claim, running bool) bool {
	p := l.predictions[c.PredictionID]
	if c.Generation != p.generation || running && p.status != store.Running {
		return false
	}
	if c.Finish {
		return p.finishDue && p.finishEpoch == c.Epoch
	}
	part := p.parts[c.Part.No]
	return part.status == "open" && part.epoch == c.Epoch
}

// locked waits like a statement does for a row that another transaction holds.
func (l *ledgerModel) locked(ctx context.Context, c *store.Claim) error {
	for {
		l.mu.Lock()
		p := l.predictions[c.PredictionID]
		free := c.Finish || c.Generation != p.generation || !p.parts[c.Part.No].locked
		if free {
			return nil // with the mutex held
		}
		l.mu.Unlock()
		backoff.Pause(ctx, 10*time.Millisecond)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// update runs a statement on a claim, or returns store.ErrLeaseLost.
func (l *ledgerModel) update(
	ctx context.Context, c *store.Claim, what string, running bool, do func(p *modelPrediction, part *modelPart),
) error {
	if err := l.locked(ctx, c); err != nil {
		return err
	}
	defer l.mu.Unlock()
	if !l.holds(c, running) {
		return store.ErrLeaseLost
	}
	l.change(c, what)
	p := l.predictions[c.PredictionID]
	if c.Finish {
		do(p, nil)
	} else {
		do(p, p.parts[c.Part.No])
	}
	return nil
}

func (l *ledgerModel) renew(ctx context.Context, c *store.Claim) error {
	return l.update(ctx, c, "renewal", !c.Finish, func(p *modelPrediction, part *modelPart) {
		l.rest(p, part, l.lease)
	})
}

func (l *ledgerModel) rest(p *modelPrediction, part *modelPart, d time.Duration) {
	if part == nil {
		p.finishLease = time.Now().Add(d)
		return
	}
	part.lease = time.Now().Add(d)
}

func (l *ledgerModel) giveBack(ctx context.Context, c *store.Claim, wait time.Duration) error {
	return l.update(ctx, c, "return", false, func(p *modelPrediction, part *modelPart) {
		l.rest(p, part, wait)
		if part == nil {
			p.finishEpoch, p.finishAttempts = p.finishEpoch+1, p.finishAttempts-1
			return
		}
		part.epoch, part.attempts, part.worker = part.epoch+1, part.attempts-1, ""
	})
}

func (l *ledgerModel) fail(ctx context.Context, c *store.Claim) error {
	return l.update(ctx, c, "failure", !c.Finish, func(p *modelPrediction, part *modelPart) {
		l.rest(p, part, time.Second)
		dead := c.Attempt >= l.attemptsMax
		if part == nil {
			p.finishEpoch, p.finishDue = p.finishEpoch+1, !dead
		} else {
			part.epoch, part.worker = part.epoch+1, ""
		}
		if dead {
			p.status = store.Dead
			p.finishDue = false
		}
	})
}

// commit stores a part. It takes a while, and its worker may be stopped in the middle; alive says how the middle ends.
func (l *ledgerModel) commit(ctx context.Context, c *store.Claim, middle func() (alive bool)) (*store.Claim, error) {
	if err := l.locked(ctx, c); err != nil {
		return nil, err
	}
	p := l.predictions[c.PredictionID]
	if l.fenced && !l.holds(c, true) {
		defer l.mu.Unlock()
		return l.committedBefore(c)
	}
	if c.Generation != p.generation { // its row is gone: there is nothing to write to, fenced or not
		l.mu.Unlock()
		return nil, store.ErrLeaseLost
	}
	part := p.parts[c.Part.No]
	part.locked = true
	l.mu.Unlock()
	alive := middle()
	l.mu.Lock()
	defer l.mu.Unlock()
	part.locked = false
	if !alive || l.fenced && (c.Generation != p.generation || p.status != store.Running) {
		return nil, store.ErrLeaseLost // rolled back
	}
	l.change(c, "commit")
	part.status = "done"
	if part.commits++; part.commits > 1 {
		l.violation("part %d of %d was committed %d times", c.Part.No, c.PredictionID, part.commits)
	}
	for _, other := range p.parts {
		if other.status != "done" {
			return nil, nil
		}
	}
	p.finishDue, p.finishAttempts, p.finishWorker = true, 1, finisherOf(c)
	p.finishEpoch++
	p.finishLease = time.Now().Add(l.lease)
	return l.lastStep(c), nil
}

// lastStep is the claim that the commit of the last part brings.
func (l *ledgerModel) lastStep(c *store.Claim) *store.Claim {
	epoch := l.predictions[c.PredictionID].finishEpoch
	return l.claim(int(c.PredictionID), store.Claim{Finish: true, Epoch: epoch, Attempt: 1, Worker: c.Worker})
}

func finisherOf(c *store.Claim) string {
	return fmt.Sprintf("%s part %d epoch %d", c.Worker, c.Part.No, c.Epoch)
}

func (l *ledgerModel) committedBefore(c *store.Claim) (*store.Claim, error) {
	p := l.predictions[c.PredictionID]
	if c.Generation != p.generation || p.parts[c.Part.No].status != "done" || p.parts[c.Part.No].epoch != c.Epoch {
		return nil, store.ErrLeaseLost
	}
	if !p.finishDue || p.finishWorker != finisherOf(c) {
		return nil, nil
	}
	return l.lastStep(c), nil
}

// finish publishes a prediction.
func (l *ledgerModel) finish(ctx context.Context, c *store.Claim) error {
	return l.update(ctx, c, "publication", true, func(p *modelPrediction, _ *modelPart) {
		p.status, p.finishDue, p.finishWorker = store.Completed, false, ""
		if p.published++; p.published > 1 {
			l.violation("prediction %d was published %d times", c.PredictionID, p.published)
		}
		for no, part := range p.parts {
			if part.commits != 1 {
				l.violation("prediction %d was published with %d commits of part %d", c.PredictionID, part.commits, no)
			}
		}
	})
}

// restart is what a user and an operator do: they cancel a prediction and have it scored anew.
func (l *ledgerModel) restart(id int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.predictions[id]
	if p.status == store.Completed {
		return
	}
	l.changes++
	parts := len(p.parts)
	p.status, p.generation, p.finishDue, p.published, p.parts = store.Queued, p.generation+1, false, 0, nil
	for range parts {
		p.parts = append(p.parts, &modelPart{status: "open"})
	}
}

// done says whether everything is published; what is dead is revived.
func (l *ledgerModel) done() bool {
	all := true
	for id, p := range l.predictions {
		l.mu.Lock()
		status := p.status
		l.mu.Unlock()
		if status == store.Dead {
			l.restart(id)
		}
		all = all && status == store.Completed
	}
	return all
}

func (l *ledgerModel) state() (changes int, violations []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changes, l.violations
}
