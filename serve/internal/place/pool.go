package place

import (
	"context"
	"sync"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
)

// Kind says what the places of a pool are, and how many there are.
type Kind struct {
	Name      string // the label of metrics
	Unit      string // what is limited, in the answer to a refused request
	Max       int    // in all
	CallerMax int    // of one caller
	Bytes     int64  // memory that a place stands for
	// SlowBelow is the rate, in bytes a second, below which a place is slow: while places are short, slow ones are lost to
	// callers who wait. 0: none is slow.
	SlowBelow float64
	// SlowMessage is the answer to a request that lost its place for being slow.
	SlowMessage string
}

// waitMax is how long a request waits for a place before it is refused with Retry-After.
const waitMax = 2 * time.Second

// Pool is the places of one kind. A free place goes to the waiting caller who holds the fewest, so that none waits for all
// that another has asked for. While there are waiting callers and no free place, one is taken back: see [Pool.victim]. It
// is safe for concurrent use.
type Pool struct {
	Kind
	mu      sync.Mutex
	used    int
	leaving int // of these, lost by holders that have not left yet
	held    map[string]int
	holders map[*Place]struct{}
	waiting []*wait
	refused int64
	lost    int64
}

// wait is a request that waits until it is granted more places.
type wait struct {
	place   *Place
	size    int
	granted chan struct{} // closed when it is
}

func newPool(k Kind) *Pool {
	return &Pool{Kind: k, held: map[string]int{}, holders: map[*Place]struct{}{}}
}

// State is a pool at one moment, and what it has done since the start.
type State struct {
	Used, Max, Waiting int
	Refused, Lost      int64
}

// State returns the state of the pool.
func (p *Pool) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return State{Used: p.used, Max: p.Max, Waiting: len(p.waiting), Refused: p.refused, Lost: p.lost}
}

// Take returns a place for a caller, who must leave it. It waits up to two seconds, or until ctx ends, and then returns a
// failure that can be retried. meter is what the place's progress is read from; nil: it makes none.
func (p *Pool) Take(ctx context.Context, caller string, meter *Meter) (*Place, error) {
	pl := p.Open(caller, meter)
	if err := pl.Grow(ctx, 1); err != nil {
		return nil, err
	}
	return pl, nil
}

// Open returns a holder that has no place yet; see [Place.Grow].
func (p *Pool) Open(caller string, meter *Meter) *Place {
	return &Place{pool: p, caller: caller, meter: meter, since: time.Now(), lost: make(chan struct{})}
}

// TakeFree returns a place if one is free, or else nil.
func (p *Pool) TakeFree(caller string, meter *Meter) *Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	pl := p.Open(caller, meter)
	if !p.fits(&wait{place: pl, size: 1}) {
		return nil
	}
	p.add(pl, 1)
	return pl
}

// TakeAtOnce is Take for places whose holders leave as soon as OnLoss is called: it does not wait.
func (p *Pool) TakeAtOnce(caller string, meter *Meter) (*Place, error) {
	pl := p.Open(caller, meter)
	if err := p.grow(context.Background(), pl, 1, 0); err != nil {
		return nil, err
	}
	return pl, nil
}

// grow adds size to a place. It waits for at most patience.
func (p *Pool) grow(ctx context.Context, pl *Place, size int, patience time.Duration) error {
	p.mu.Lock()
	if pl.isLost() {
		p.mu.Unlock()
		return pl.failure()
	}
	w := &wait{place: pl, size: size, granted: make(chan struct{})}
	p.waiting = append(p.waiting, w)
	p.grant()
	var lose []func()
	if !w.done() {
		lose = p.takeBack(w)
	}
	p.mu.Unlock()
	for _, end := range lose {
		end()
	}
	if w.done() {
		return nil
	}
	return p.await(ctx, w, patience)
}

// await waits until w is granted, its place is lost, or its time is over.
func (p *Pool) await(ctx context.Context, w *wait, patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-w.granted:
		return nil
	case <-w.place.lost:
	case <-ctx.Done():
	case <-timer.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.done() {
		return nil
	}
	p.forget(w)
	p.refused++
	p.grant() // w may have been ahead of a smaller one
	if w.place.isLost() {
		return w.place.failure()
	}
	return p.refusal()
}

func (w *wait) done() bool {
	select {
	case <-w.granted:
		return true
	default:
		return false
	}
}

// refusal is the answer to a request for which there is no place.
func (p *Pool) refusal() *fault.Failure {
	return fault.Fail(fault.CodeBusy, "").With(fault.Details{"limit": p.Max, "unit": p.Unit})
}

// grant gives free places to those who wait, first to the caller who holds the fewest; of one caller, to the first.
func (p *Pool) grant() {
	for {
		var next *wait
		for _, w := range p.waiting {
			if !p.fits(w) {
				continue
			}
			if next == nil || p.held[w.place.caller] < p.held[next.place.caller] {
				next = w
			}
		}
		if next == nil {
			return
		}
		p.add(next.place, next.size)
		p.forget(next)
		close(next.granted)
	}
}

// fits reports whether there are free places for w. Callers without a name are bounded in all only.
func (p *Pool) fits(w *wait) bool {
	caller := w.place.caller
	return p.used+w.size <= p.Max && (caller == "" || p.held[caller]+w.size <= p.CallerMax)
}

func (p *Pool) forget(w *wait) {
	for i, other := range p.waiting {
		if other == w {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			return
		}
	}
}

func (p *Pool) add(pl *Place, size int) {
	p.used += size
	pl.size += size
	p.count(pl.caller, size)
	p.holders[pl] = struct{}{}
	if pl.size == 0 {
		delete(p.holders, pl)
	}
	if pl.isLost() {
		p.leaving += size
	}
}

// count keeps callers only as long as they hold something.
func (p *Pool) count(caller string, size int) {
	if p.held[caller] += size; p.held[caller] == 0 {
		delete(p.held, caller)
	}
}

// takeBack marks the places as lost that w needs, if it may have them, and returns what ends their holders' waiting.
func (p *Pool) takeBack(w *wait) (lose []func()) {
	if caller := w.place.caller; caller != "" && p.held[caller]+w.size > p.CallerMax {
		return nil // the caller waits for itself
	}
	for p.used-p.leaving+w.size > p.Max {
		v := p.victim(w)
		if v == nil {
			break
		}
		v.slow = p.isSlow(v, time.Now())
		close(v.lost)
		p.lost++
		p.leaving += v.size
		lose = append(lose, v.onLoss)
	}
	return lose
}

// victim returns the place that is lost to w, or nil. A slow one goes first, of the caller who holds most if there are
// several; else the slowest one of a caller who holds more than its share, which is an equal part for everyone who holds
// or waits, and more than the caller of w would then hold.
func (p *Pool) victim(w *wait) *Place {
	now := time.Now()
	share := max(1, p.Max/p.callers())
	var slow, greedy *Place
	for pl := range p.holders {
		if pl == w.place || pl.onLoss == nil || pl.isLost() {
			continue
		}
		if p.isSlow(pl, now) && p.before(pl, slow, now) {
			slow = pl
		}
		held := p.held[pl.caller]
		if pl.caller != "" && held > share && held > p.held[w.place.caller]+w.size && p.before(pl, greedy, now) {
			greedy = pl
		}
	}
	if slow != nil {
		return slow
	}
	return greedy
}

// callers returns how many callers hold places or wait for some.
func (p *Pool) callers() int {
	n := len(p.held)
	seen := map[string]bool{}
	for _, w := range p.waiting {
		if caller := w.place.caller; p.held[caller] == 0 && !seen[caller] {
			seen[caller] = true
			n++
		}
	}
	return max(1, n)
}

// slowGrace is how long a place is not slow, however little it does.
const slowGrace = 5 * time.Second

func (p *Pool) isSlow(pl *Place, now time.Time) bool {
	return !pl.busy && now.Sub(pl.since) > slowGrace && pl.meter.Rate(now) < p.SlowBelow
}

// before reports whether a is to be lost before b: idle ones before busy ones, then those of the caller who holds more,
// then the slower ones.
func (p *Pool) before(a, b *Place, now time.Time) bool {
	switch {
	case b == nil:
		return true
	case a.busy != b.busy:
		return b.busy
	case p.held[a.caller] != p.held[b.caller]:
		return p.held[a.caller] > p.held[b.caller]
	}
	return a.meter.Rate(now) < b.meter.Rate(now)
}
