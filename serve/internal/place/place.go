// Package place bounds what requests hold at the same time: connections, memory, files being received, scored and sent.
// Each is a kind of place, with a bound in all and a bound for each caller, who is a user or a client address. A place is
// taken for work, not for waiting; while places are short, no caller keeps more than its share and slow ones are lost.
package place

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
)

// Place is what a request holds of a pool: one place, or several, see [Place.Grow]. Its methods are safe for concurrent use
// unless they say otherwise. A nil *Place holds nothing and is not lost.
type Place struct {
	pool   *Pool
	caller string
	meter  *Meter
	lost   chan struct{} // closed when it is taken back

	// Guarded by the pool.
	size   int
	since  time.Time // from when on it may be slow, with the grace
	busy   bool
	onLoss func() // ends what the holder waits for; nil: the place cannot be taken back
	slow   bool   // when it was lost
}

// Grow adds n places to what is held. It waits as [Pool.Take] does.
func (pl *Place) Grow(ctx context.Context, n int) error { return pl.pool.grow(ctx, pl, n, waitMax) }

// Await is Grow without its bound of two seconds: it waits until ctx ends, for holders who have work behind them that would
// be lost.
func (pl *Place) Await(ctx context.Context, n int) error {
	return pl.pool.grow(ctx, pl, n, math.MaxInt64)
}

// Shrink returns n places.
func (pl *Place) Shrink(n int) {
	p := pl.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	pl.shrink(min(n, pl.size))
}

func (pl *Place) shrink(n int) {
	if n == 0 {
		return
	}
	pl.pool.add(pl, -n)
	pl.pool.grant()
}

// Leave returns everything that is held. Further calls do nothing.
func (pl *Place) Leave() {
	if pl == nil {
		return
	}
	p := pl.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	pl.onLoss = nil
	pl.shrink(pl.size)
}

// OnLoss sets what is called, once, on another goroutine, when the place is taken back: it must end at once what the holder
// waits for. Without it the place is kept until the holder leaves.
func (pl *Place) OnLoss(end func()) {
	p := pl.pool
	p.mu.Lock()
	lost := pl.isLost()
	pl.onLoss = end
	p.mu.Unlock()
	if lost && end != nil {
		end()
	}
}

// Busy marks whether the service is working for the place: then it is not slow, whatever its client does.
func (pl *Place) Busy(busy bool) {
	if pl == nil {
		return
	}
	p := pl.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	pl.busy, pl.since = busy, time.Now()
}

// Assign counts the place as another caller's, unless that one holds its bound already. It does not wait.
func (pl *Place) Assign(caller string) error {
	p := pl.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if caller == pl.caller {
		return nil
	}
	if caller != "" && p.held[caller]+pl.size > p.CallerMax {
		p.refused++
		return p.refusal()
	}
	p.count(pl.caller, -pl.size)
	p.count(caller, pl.size)
	pl.caller = caller
	return nil
}

// Failure returns why the place was lost; nil if it was not.
func (pl *Place) Failure() error {
	if pl == nil || !pl.isLost() {
		return nil
	}
	return pl.failure()
}

func (pl *Place) isLost() bool {
	select {
	case <-pl.lost:
		return true
	default:
		return false
	}
}

func (pl *Place) failure() *fault.Failure {
	if pl.slow && pl.pool.SlowMessage != "" {
		return fault.Fail(fault.CodeSlowBody, pl.pool.SlowMessage).Because(errLost).
			With(fault.Details{"limit": pl.pool.Max, "unit": pl.pool.Unit})
	}
	return pl.pool.refusal().Because(errLost)
}

// errLost is the cause in the log.
var errLost = errors.New("place was given to another caller")
