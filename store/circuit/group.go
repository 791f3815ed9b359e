package circuit

import "sync"

// The dependencies that a breaker stands before.
const (
	Database = "database"
	Objects  = "object_store"
	Queue    = "queue"
)

// Status is what the breakers before a dependency do.
type Status struct {
	State State
	Opens int64 // how often calls were stopped: after failures in a row, and after each trial that failed
}

// State says what a breaker does with a call; the higher, the worse.
type State int

// The states of a circuit.
const (
	Closed   State = iota // calls go through
	HalfOpen              // one call goes through as a trial, or will as soon as somebody calls
	Open                  // calls are refused
)

// Group are the breakers of a process. The zero value has none yet. It is safe for concurrent use.
type Group struct {
	mu       sync.Mutex
	breakers []*Breaker
}

// NewBreaker makes a breaker that the circuits show; nil circuits show none.
func (c *Group) NewBreaker(dependency string) *Breaker {
	b := newBreaker(dependency)
	if c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.breakers = append(c.breakers, b)
	}
	return b
}

// Of returns what the breakers before a dependency do: the worst of their states, and all that they count.
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
