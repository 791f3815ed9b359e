package work

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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
	finishDeaths   int
}

type modelPart struct {
	status   string // open, done, dead
	epoch    int
	attempts int
	lease    time.Time
	worker   string
	locked   bool
	commits  int
	deaths   int

	// What really happened, which the ledger does not know.
	deadly   bool // it ends the process that runs it
	kills    int  // processes that it has ended
	failures int
	alone    map[int]bool // epochs in which it was begun alone
	vanished int          // of these, those whose worker did not return
	acquits  int
}

// add queues a prediction. One of its parts may be deadly; -1: none.
func (l *ledgerModel) add(parts, deadly int) {
	p := &modelPrediction{id: store.NewID(), small: parts == 1, status: store.Queued, generation: 1}
	for no := range parts {
		p.parts = append(p.parts, newModelPart(no == deadly))
	}
	l.predictions = append(l.predictions, p)
}

func newModelPart(deadly bool) *modelPart {
	return &modelPart{status: "open", deadly: deadly, alone: map[int]bool{}}
}

func (l *ledgerModel) violation(format string, args ...any) {
	l.violations = append(l.violations, fmt.Sprintf(format, args...))
}

// change runs an effective statement of a claim, which must be good, whatever the statement asked for.
func (l *ledgerModel) change(c *store.Claim, what string) {
	p := l.predictions[c.PredictionID]
	if p.status != store.Dead { // whose other parts are given back by those that have them
		l.changes++
	}
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
		suspect := part.deaths > 0 && part.deaths < modelDeathsMax
		if part.status != "open" || part.locked || part.lease.After(now) || suspect && part.worker == "" {
			continue
		}
		l.changes++
		part.epoch++
		part.lease = now.Add(l.lease)
		switch {
		case part.worker != "":
			part.lease = now.Add(l.pause(part.deaths))
			part.attempts, part.deaths, part.worker = part.attempts-1, part.deaths+1, ""
			if part.alone[part.epoch-1] {
				part.vanished++
			}
			no-- // look again
			continue
		case part.deaths >= modelDeathsMax:
			part.status, p.status = "dead", store.Dead
			if part.vanished < 2 {
				l.violation("part %d of %d is dead, though it ended its process %d times alone", no, id, part.vanished)
			}
			continue
		}
		p.status = store.Running
		return l.begun(id, no, worker)
	}
	return nil
}

const modelDeathsMax = 3

// pause is how long a suspect waits after a death.
func (l *ledgerModel) pause(deaths int) time.Duration {
	switch deaths {
	case 0:
		return l.lease / 8
	case 1:
		return l.lease * 3 / 2
	}
	return l.lease * 6
}

// begun counts an attempt and returns its claim.
func (l *ledgerModel) begun(id, no int, worker string) *store.Claim {
	part := l.predictions[id].parts[no]
	part.attempts++
	part.worker = worker
	if part.attempts > part.failures+1 {
		l.violation("part %d of %d is charged with %d attempts after %d failures", no, id, part.attempts, part.failures)
	}
	return l.claimOf(id, no, worker)
}

func (l *ledgerModel) claimOf(id, no int, worker string) *store.Claim {
	part := l.predictions[id].parts[no]
	return l.claim(id, store.Claim{
		Part: store.Part{No: no, Planned: true}, Epoch: part.epoch, Attempt: part.attempts, Deaths: part.deaths,
		Worker: worker,
	})
}

// reserveSuspect is the claim of a suspect, which nobody holds before begin.
func (l *ledgerModel) reserveSuspect(worker string) *store.Claim {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for id, p := range l.predictions {
		if p.finishDue && p.finishDeaths > 0 && p.finishDeaths < modelDeathsMax && p.finishWorker == "" && !p.finishLease.After(now) {
			l.changes++
			p.finishEpoch++
			p.finishLease = now.Add(l.lease)
			return l.claim(id, store.Claim{
				Finish: true, Epoch: p.finishEpoch, Attempt: p.finishAttempts + 1, Deaths: p.finishDeaths, Worker: worker,
			})
		}
		for no, part := range p.parts {
			if p.status != store.Queued && p.status != store.Running || part.status != "open" || part.locked ||
				part.lease.After(now) || part.deaths == 0 || part.deaths >= modelDeathsMax || part.worker != "" {
				continue
			}
			l.changes++
			part.epoch++
			part.lease = now.Add(l.lease)
			c := l.claimOf(id, no, worker)
			c.Attempt++
			return c
		}
	}
	return nil
}

func (l *ledgerModel) begin(ctx context.Context, c *store.Claim) (err error) {
	lost := l.update(ctx, c, "begin", false, func(p *modelPrediction, part *modelPart) {
		l.rest(p, part, l.lease)
		if part == nil {
			p.finishAttempts, p.finishWorker = p.finishAttempts+1, c.Worker
			return
		}
		if p.status != store.Queued && p.status != store.Running {
			err = store.ErrLeaseLost // another part of it is dead
			return
		}
		p.status = store.Running
		part.alone[part.epoch] = true
		l.begun(int(c.PredictionID), c.Part.No, c.Worker)
	})
	return cmp.Or(lost, err)
}

// acquit takes back a death that was none.
func (l *ledgerModel) acquit(c *store.Claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.predictions[c.PredictionID]
	if c.Generation != p.generation {
		return
	}
	if c.Finish {
		if p.finishDue && p.finishEpoch > c.Epoch && p.finishDeaths > 0 {
			p.finishDeaths--
		}
		return
	}
	part := p.parts[c.Part.No]
	if part.status == "open" && part.epoch > c.Epoch && part.deaths > 0 {
		part.deaths--
		part.acquits++
	}
}

// killedBy notes that a deadly part has ended the process that ran it.
func (l *ledgerModel) killedBy(c *store.Claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.predictions[c.PredictionID]
	if c.Generation != p.generation || p.parts[c.Part.No].epoch != c.Epoch {
		return // of an earlier run, which the ledger has seen the end of
	}
	part := p.parts[c.Part.No]
	if part.kills++; part.kills > modelDeathsMax+part.acquits {
		l.violation("deadly part %d of %d has ended %d processes, %d of its deaths were taken back", c.Part.No,
			c.PredictionID, part.kills, part.acquits)
	}
}

// deadly reports whether a claim ends its process.
func (l *ledgerModel) deadly(c *store.Claim) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.predictions[c.PredictionID]
	return !c.Finish && p.parts[c.Part.No].deadly
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
		if p.finishDue && !p.finishLease.After(now) && p.finishWorker != "" {
			l.changes++
			p.finishEpoch++
			p.finishLease = now.Add(l.pause(p.finishDeaths))
			p.finishAttempts, p.finishDeaths, p.finishWorker = p.finishAttempts-1, p.finishDeaths+1, ""
		}
		if !p.finishDue || p.finishLease.After(now) || p.finishDeaths > 0 && p.finishDeaths < modelDeathsMax {
			continue
		}
		l.changes++
		p.finishEpoch++
		p.finishLease = now.Add(l.lease)
		if p.finishDeaths >= modelDeathsMax {
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
			p.finishEpoch++
			if p.finishWorker != "" {
				p.finishAttempts, p.finishWorker = p.finishAttempts-1, ""
			}
			return
		}
		part.epoch++
		if part.worker != "" {
			part.attempts, part.worker = part.attempts-1, ""
		}
	})
}

func (l *ledgerModel) fail(ctx context.Context, c *store.Claim) error {
	return l.update(ctx, c, "failure", !c.Finish, func(p *modelPrediction, part *modelPart) {
		l.rest(p, part, time.Second)
		dead := c.Attempt >= l.attemptsMax
		if part == nil {
			p.finishEpoch, p.finishDue, p.finishWorker = p.finishEpoch+1, !dead, ""
		} else {
			part.epoch, part.worker = part.epoch+1, ""
			part.failures++
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
	parts := p.parts
	p.status, p.generation, p.finishDue, p.published, p.parts = store.Queued, p.generation+1, false, 0, nil
	p.finishDeaths, p.finishWorker = 0, ""
	for _, part := range parts {
		p.parts = append(p.parts, newModelPart(part.deadly))
	}
}

// done reports whether everything is published, or dead because a part of it is deadly. What else is dead is revived.
func (l *ledgerModel) done() bool {
	all := true
	for id, p := range l.predictions {
		l.mu.Lock()
		status, deadly := p.status, slices.ContainsFunc(p.parts, func(part *modelPart) bool { return part.deadly })
		l.mu.Unlock()
		switch {
		case deadly:
			all = all && status == store.Dead
		case status == store.Dead:
			l.restart(id)
			all = false
		default:
			all = all && status == store.Completed
		}
	}
	return all
}

func (l *ledgerModel) state() (changes int, violations []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changes, l.violations
}
