package work

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/backoff"
)

// The lease protocol in virtual time, thousands of runs of it. Real is everything that decides in a worker: the loop,
// what it claims, when it renews, what it does when a renewal fails or the lease is lost, how it gives up, releases and
// drains (worker.go, worker_failure.go). Modelled are the database (ledger_model_internal_test.go: the conditions of
// package store's statements), the network to it, and the steps: instead of scoring they wait, and then commit or
// publish. What SQL really does is tested in package store, and both together by the chaos module.
//
// A seed decides when which process crashes, freezes or drains, when the network is bad, which runs are restarted,
// and how long everything takes. Goroutines that wake at the same instant may still run in either order.

const (
	simulatedLease     = 3 * time.Second
	simulatedProcesses = 3
	faultsLast         = time.Minute
	progressMax        = 10 * time.Minute // from the last fault until everything is published
)

// seedsVariable is how many seeds TestLeaseProtocol tries; seedVariable is the only one.
const (
	seedsVariable = "SIMULATE_SEEDS"
	seedVariable  = "SIMULATE_SEED"
)

func TestLeaseProtocol(t *testing.T) {
	if text := os.Getenv(seedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		for _, violation := range simulate(t, seed, true, metrics.NewMetrics()) {
			t.Error(violation)
		}
		return
	}
	seeds := 300
	if text := os.Getenv(seedsVariable); text != "" {
		var err error
		if seeds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	bad := manySeeds(t, uint64(seeds), true)
	t.Logf("%d seeds", seeds)
	for seed, violations := range bad {
		t.Errorf("%s=%d: %d violations, the first: %s", seedVariable, seed, len(violations), violations[0])
	}
}

// Without the fence the same runs go wrong: the simulation can see what it looks for.
func TestLeaseProtocolNeedsTheFence(t *testing.T) {
	const seeds = 100
	if len(manySeeds(t, seeds, false)) == 0 { // it is about seven of them, more or fewer by the order of goroutines
		t.Errorf("none of %d seeds found out that the fence is off", seeds)
	}
}

// manySeeds returns what went wrong, by seed.
func manySeeds(t *testing.T, seeds uint64, fenced bool) map[uint64][]string {
	var mu sync.Mutex
	bad := map[uint64][]string{}
	var next atomic.Uint64
	metrics := metrics.NewMetrics()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for seed := next.Add(1); seed <= seeds; seed = next.Add(1) {
				if violations := simulate(t, seed, fenced, metrics); len(violations) > 0 {
					mu.Lock()
					bad[seed] = violations
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	return bad
}

// simulate runs one seed and returns what went wrong.
func simulate(t *testing.T, seed uint64, fenced bool, metrics *metrics.Metrics) (violations []string) {
	synctest.Test(t, func(*testing.T) {
		s := &simulation{
			seed: seed, random: rand.New(rand.NewPCG(seed, 0)), metrics: metrics, begin: time.Now(),
			ledger: &ledgerModel{fenced: fenced, lease: simulatedLease, attemptsMax: 3},
		}
		violations = s.run()
	})
	return violations
}

// simulation is a few worker processes on one ledger.
type simulation struct {
	seed    uint64
	random  *rand.Rand // for the plan only, which one goroutine makes
	metrics *metrics.Metrics
	ledger  *ledgerModel
	begin   time.Time
	storms  []storm
	running sync.WaitGroup

	mu        sync.Mutex
	processes []*simulatedProcess
	started   int
}

func (s *simulation) process(i int) *simulatedProcess {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.processes[i]
}

// storm is a time in which the network fails.
type storm struct{ from, to time.Duration }

func (s *simulation) run() []string {
	for range 1 + s.random.IntN(3) {
		s.ledger.add(1+s.random.IntN(5), -1)
	}
	if s.random.IntN(2) == 0 { // a part that ends every process that runs it
		parts := 1 + s.random.IntN(3)
		s.ledger.add(parts, s.random.IntN(parts))
	}
	for at := time.Duration(0); at < faultsLast; {
		at += s.span(2*time.Second, 20*time.Second)
		length := s.span(100*time.Millisecond, 2*simulatedLease)
		s.storms = append(s.storms, storm{at, at + length})
		at += length
	}
	s.processes = make([]*simulatedProcess, simulatedProcesses)
	for i := range s.processes {
		s.start(i)
	}
	for time.Since(s.begin) < faultsLast {
		time.Sleep(s.span(100*time.Millisecond, 4*time.Second))
		victim := s.random.IntN(len(s.processes))
		switch s.random.IntN(10) {
		case 0, 1, 2, 3: // kill -9, and a new one
			s.process(victim).kill()
			s.start(victim)
		case 4, 5, 6, 7:
			s.process(victim).freeze(s.span(simulatedLease/2, 3*simulatedLease))
		case 8: // SIGTERM, and a new one
			s.process(victim).stop()
			s.start(victim)
		case 9:
			s.ledger.restart(s.random.IntN(len(s.ledger.predictions)))
		}
	}
	s.settle()
	for i := range s.processes {
		s.process(i).stop()
	}
	s.running.Wait()
	_, violations := s.ledger.state()
	return violations
}

// settle waits until everything is published, and then for late writers.
func (s *simulation) settle() {
	for deadline := time.Now().Add(progressMax); !s.ledger.done(); time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			s.ledger.mu.Lock()
			s.ledger.violation("no progress: not everything is published %s after the last fault", progressMax)
			s.ledger.mu.Unlock()
			return
		}
	}
	before, _ := s.ledger.state()
	time.Sleep(10 * simulatedLease)
	if after, _ := s.ledger.state(); after != before {
		s.ledger.violation("%d changes after everything was published", after-before)
	}
}

func (s *simulation) span(from, to time.Duration) time.Duration {
	return from + time.Duration(s.random.Int64N(int64(to-from)))
}

// start starts a worker process in a place, whose former one has ended or ends: a real worker whose ledger is at the other
// end of a bad network.
func (s *simulation) start(place int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started++
	p := &simulatedProcess{simulation: s, place: place, name: fmt.Sprint("process-", s.started), steps: map[*store.Claim]bool{}}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	w := &Worker{
		config: Config{Name: p.name, Attempts: 2, Small: 1, Cores: 1, Drain: 20 * time.Second},
		ledger: p, runStep: p.work, metrics: s.metrics, internalMetrics: s.metrics, log: slog.New(slog.DiscardHandler),
	}
	w.makeSlots()
	s.processes[place] = p
	s.running.Go(func() { w.Run(ctx) })
}

// simulatedProcess is a worker process. It implements ledger.
type simulatedProcess struct {
	*simulation
	place int
	name  string
	stop  func() // SIGTERM

	mu     sync.Mutex
	dead   bool
	thaw   time.Time
	calls  int
	lostAt map[*store.Claim]time.Time // when the worker found out that a lease is lost
	steps  map[*store.Claim]bool      // what it works on
}

// kill is kill -9: nothing of the process reaches the ledger any more.
func (p *simulatedProcess) kill() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	p.stop()
}

// freeze is SIGSTOP for a while: what the process does next happens after it.
func (p *simulatedProcess) freeze(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.thaw = time.Now().Add(d)
}

// awake waits while the process is frozen and says whether it lives.
func (p *simulatedProcess) awake() bool {
	for {
		p.mu.Lock()
		left, dead := time.Until(p.thaw), p.dead
		p.mu.Unlock()
		if dead || left <= 0 {
			return !dead
		}
		time.Sleep(left)
	}
}

var errNetwork = &net.OpError{Op: "read", Net: "simulated", Err: errors.New("connection reset")}

// call carries a statement to the ledger, late or never, and its answer back.
func (p *simulatedProcess) call(ctx context.Context, statement func() error) error {
	p.mu.Lock()
	p.calls++
	dice := p.dice("call", p.calls)
	p.mu.Unlock()
	backoff.Pause(ctx, time.Duration(dice%20)*time.Millisecond)
	if !p.awake() {
		return errNetwork
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	bad := p.storming()
	if bad && dice%3 == 0 {
		return errNetwork // it was not sent
	}
	err := statement()
	if !p.awake() || bad && dice%3 == 1 {
		return errNetwork // its answer is lost
	}
	return err
}

func (p *simulatedProcess) storming() bool {
	now := time.Since(p.begin)
	for _, s := range p.storms {
		if s.from <= now && now < s.to {
			return true
		}
	}
	return false
}

// dice is a random number that depends on the seed and on its purpose, not on the order of calls.
func (p *simulatedProcess) dice(what ...any) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, p.seed, p.name, what)
	return h.Sum64()
}

// enter notes that a step has begun, and checks that a suspect is alone. It returns how the step ends.
func (p *simulatedProcess) enter(c *store.Claim) (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for other := range p.steps {
		if c.Deaths > 0 || other.Deaths > 0 {
			p.ledger.mu.Lock()
			p.ledger.violation("%s works on part %d of %d (%d deaths) and on part %d of %d (%d deaths)", p.name,
				c.Part.No, c.PredictionID, c.Deaths, other.Part.No, other.PredictionID, other.Deaths)
			p.ledger.mu.Unlock()
		}
	}
	p.steps[c] = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.steps, c)
	}
}

// work stands in for the worker's step.
func (p *simulatedProcess) work(ctx context.Context, c *store.Claim) (next *store.Claim, err error) {
	defer p.enter(c)()
	dice := p.dice("work", c.PredictionID, c.Generation, c.Part.No, c.Epoch)
	backoff.Pause(ctx, time.Duration(dice%uint64(2*simulatedLease)))
	if !p.awake() {
		return nil, errNetwork
	}
	if ctx.Err() == nil && p.ledger.deadly(c) {
		p.ledger.killedBy(c)
		p.kill()
		if p.process(p.place) == p {
			p.start(p.place)
		}
		return nil, errNetwork
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if dice%19 == 0 {
		return nil, atStage(stageScore, errors.New("a fault of its own"))
	}
	p.mu.Lock()
	if lost, known := p.lostAt[c]; known && time.Now().After(lost) {
		p.ledger.mu.Lock()
		p.ledger.violation("%s went on with part %d of %d after it found out that the lease is lost",
			p.name, c.Part.No, c.PredictionID)
		p.ledger.mu.Unlock()
	}
	p.mu.Unlock()
	err = p.call(ctx, func() (err error) {
		if c.Finish {
			return p.ledger.finish(ctx, c)
		}
		next, err = p.ledger.commit(ctx, c, func() bool {
			time.Sleep(time.Duration(dice % uint64(200*time.Millisecond)))
			return p.awake()
		})
		return err
	})
	if err != nil {
		return nil, atStage(stageCommit, err)
	}
	return next, nil
}

// Listen implements ledger: a knock every poll interval.
func (p *simulatedProcess) Listen(ctx context.Context) <-chan struct{} {
	wake := make(chan struct{}, 1)
	p.running.Go(func() {
		defer close(wake)
		for ctx.Err() == nil {
			select {
			case wake <- struct{}{}:
			default:
			}
			backoff.Pause(ctx, 5*time.Second)
		}
	})
	return wake
}

// ClaimFinish implements ledger.
func (p *simulatedProcess) ClaimFinish(ctx context.Context, worker string) (c *store.Claim, err error) {
	err = p.call(ctx, func() error { c = p.ledger.claimFinish(worker); return nil })
	return answered(c, err)
}

// ClaimPart implements ledger.
func (p *simulatedProcess) ClaimPart(ctx context.Context, worker string) (c *store.Claim, err error) {
	err = p.call(ctx, func() error { c = p.ledger.claimPart(worker, false); return nil })
	return answered(c, err)
}

// ClaimSmallPart implements ledger.
func (p *simulatedProcess) ClaimSmallPart(ctx context.Context, worker string) (c *store.Claim, err error) {
	err = p.call(ctx, func() error { c = p.ledger.claimPart(worker, true); return nil })
	return answered(c, err)
}

// ReserveSuspect implements ledger.
func (p *simulatedProcess) ReserveSuspect(ctx context.Context, worker string) (c *store.Claim, err error) {
	err = p.call(ctx, func() error { c = p.ledger.reserveSuspect(worker); return nil })
	return answered(c, err)
}

// Begin implements ledger.
func (p *simulatedProcess) Begin(ctx context.Context, c *store.Claim) error {
	return p.call(ctx, func() error { return p.ledger.begin(ctx, c) })
}

// Acquit implements ledger.
func (p *simulatedProcess) Acquit(ctx context.Context, c *store.Claim) error {
	return p.call(ctx, func() error { p.ledger.acquit(c); return nil })
}

// answered forgets what came of a statement whose answer is lost.
func answered(c *store.Claim, err error) (*store.Claim, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

// RenewLease implements ledger.
func (p *simulatedProcess) RenewLease(ctx context.Context, c *store.Claim) error {
	err := p.call(ctx, func() error { return p.ledger.renew(ctx, c) })
	if errors.Is(err, store.ErrLeaseLost) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.lostAt == nil {
			p.lostAt = map[*store.Claim]time.Time{}
		}
		p.lostAt[c] = time.Now()
	}
	return err
}

// ReleasePart implements ledger.
func (p *simulatedProcess) ReleasePart(ctx context.Context, c *store.Claim) error {
	return p.call(ctx, func() error { return p.ledger.giveBack(ctx, c, 0) })
}

// PostponePart implements ledger.
func (p *simulatedProcess) PostponePart(ctx context.Context, c *store.Claim, q store.Postponement) error {
	return p.call(ctx, func() error { return p.ledger.giveBack(ctx, c, q.Wait) })
}

// Restart implements ledger: no simulated object is ever gone.
func (p *simulatedProcess) Restart(context.Context, *store.Claim, store.Failure) error {
	return errors.New("nothing is gone")
}

// FailPart implements ledger.
func (p *simulatedProcess) FailPart(ctx context.Context, c *store.Claim, _ store.Failure) error {
	return p.call(ctx, func() error { return p.ledger.fail(ctx, c) })
}

// Times implements ledger.
func (p *simulatedProcess) Times(context.Context, *store.Claim) (store.Times, error) {
	return store.Times{}, errNetwork // for metrics only
}

var _ ledger = (*simulatedProcess)(nil)
