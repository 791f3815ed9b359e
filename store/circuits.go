package store

import "sync"

// The dependencies that a breaker stands before.
const (
	DependencyDatabase = "database"
	DependencyObjects  = "object_store"
	DependencyQueue    = "queue"
)

// Circuit is what the breakers before a dependency do.
type Circuit struct {
	State CircuitState
	Opens int64 // how often calls were stopped: after failures in a row, and after each trial that failed
}

// CircuitState says what a breaker does with a call; the higher, the worse.
type CircuitState int

// The states of a circuit.
const (
	CircuitClosed   CircuitState = iota // calls go through
	CircuitHalfOpen                     // one call goes through as a trial, or will as soon as somebody calls
	CircuitOpen                         // calls are refused
)

// Circuits are the breakers of a process. The zero value has none yet. It is safe for concurrent use.
type Circuits struct {
	mu       sync.Mutex
	breakers []*breaker
}

// newBreaker makes a breaker that the circuits show; nil circuits show none.
func (c *Circuits) newBreaker(dependency string) *breaker {
	b := newBreaker(dependency)
	if c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.breakers = append(c.breakers, b)
	}
	return b
}

// Of returns what the breakers before a dependency do: the worst of their states, and all that they count.
func (c *Circuits) Of(dependency string) (all Circuit) {
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
