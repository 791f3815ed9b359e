package place

// NewPool is for tests: others make pools by [NewTable].
func NewPool(k Kind) *Pool { return newPool(k) }

// Held returns how many places each caller holds.
func (p *Pool) Held() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]int{}
	for caller, n := range p.held {
		all[caller] = n
	}
	return all
}
