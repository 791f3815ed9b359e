package circuit

import "sync"

// The dependencies that have breakers.
const (
	Database = "database"
	Objects  = "object_store"
	Queue    = "queue"
)

// Status is the state of a dependency's breakers.
type Status struct {
	State State
	Opens int64 // how often a circuit opened: after failures in a row, and after each trial that failed
}

// State is what a breaker does with a call; the higher, the worse.
type State int

// The states of a circuit.
const (
	Closed   State = iota // calls go through
	HalfOpen              // one call goes through as a trial, now or when it comes
	Open                  // calls are refused
)

// Group is the breakers of a process, for metrics and readiness. The zero value is empty. It is safe for concurrent use.
type Group struct {
	mu       sync.Mutex
	breakers []*Breaker
}

// NewBreaker returns a new breaker of the group. A nil group returns one that belongs to none.
func (c *Group) NewBreaker(dependency string) *Breaker {
	b := newBreaker(dependency)
	if c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.breakers = append(c.breakers, b)
	}
	return b
}

// Of returns the worst state of a dependency's breakers, and how often they opened in all.
func (c *Group) Of(dependency string) (all Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.breakers {
		if b.dependency == dependency {
			all.State = max(all.State, b.state())
			all.Opens += b.opens.Load()
		}
	}
	return all
}
