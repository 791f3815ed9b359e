package proxy

import "time"

// Direction is the way that bytes take through a [Proxy].
type Direction int

// Directions of a proxy.
const (
	ToServer Direction = iota
	ToClient
	directions
)

// Fault impairs one direction of a [Proxy]. The zero Fault passes everything on at once.
type Fault struct {
	Stall          bool          // passes nothing on; what was sent arrives when the fault ends
	Latency        time.Duration // added to everything
	Jitter         time.Duration // at most added to or taken off the latency
	BytesPerSecond int           // 0: unlimited
	SliceBytes     int           // passes on so many bytes at a time; 0: as they were read
	SlicePause     time.Duration // between slices
	BytesMax       int           // closes a connection after so many bytes; 0: unlimited
	ResetAfter     time.Duration // resets a connection so long after the fault or the connection began; 0: never
}

// active is a fault from when it begins until ended is closed.
type active struct {
	Fault
	ended chan struct{}
}

func newActive(f Fault) *active { return &active{Fault: f, ended: make(chan struct{})} }

// Impair has the fault in one direction from now on, on open connections and new ones, in place of the one before.
func (p *Proxy) Impair(d Direction, f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.faults[d].ended)
	p.faults[d] = newActive(f)
	for c := range p.conns {
		c.resetLater(p.faults[d])
	}
}

func (p *Proxy) fault(d Direction) *active {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults[d]
}

// slice returns how many of size bytes may be written at once after sent bytes under the fault, 0 if none ever.
func (f *Fault) slice(size, sent int) int {
	if f.SliceBytes > 0 {
		size = min(size, f.SliceBytes)
	}
	if f.BytesPerSecond > 0 {
		size = min(size, max(1, f.BytesPerSecond/20))
	}
	if f.BytesMax > 0 {
		size = min(size, f.BytesMax-sent)
	}
	return size
}

// pause returns how long to wait after a write of n bytes.
func (f *Fault) pause(n int) time.Duration {
	d := f.SlicePause
	if f.BytesPerSecond > 0 {
		d += time.Duration(n) * time.Second / time.Duration(f.BytesPerSecond)
	}
	return d
}
