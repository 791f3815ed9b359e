package forest

import "fmt"

// Kernels names the kernels that this processor can run, the one that [Compile] chooses last.
func Kernels() []string {
	var names []string
	for k := kernelPortable; k <= bestKernel; k++ {
		names = append(names, k.String())
	}
	return names
}

// CompileFor is [Compile] for one of [Kernels]: for comparing them. All give the same bits.
func CompileFor(f *Forest, kernel string) (*Compiled, error) {
	for k := kernelPortable; k <= bestKernel; k++ {
		if k.String() == kernel {
			return compileFor(f, k)
		}
	}
	return nil, fmt.Errorf("compile forest: this processor has no kernel %q, it has %q", kernel, Kernels())
}

// Bin does the first half of what [Scorer.Raw] does with many rows: it turns their values into codes and scores
// nothing. It is for telling the halves' times apart.
func (s *Scorer) Bin(rows Rows) {
	s.bins.start(rows)
	step := s.blocks * blockRows
	for first := 0; first < rows.Len; first += step {
		s.first = first
		s.fill(min(step, rows.Len-first))
	}
	s.bins.finish()
}
