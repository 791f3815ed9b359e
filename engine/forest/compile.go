package forest

import "fmt"

// columnsMax bounds the bytes that one block of rows takes: 256 MiB.
const columnsMax = 1 << 20

// Compiled is a forest in the form that scores fastest on this machine. It is immutable and may be shared; every
// worker takes its own [Scorer] from it.
//
// Raw scores have the very bits of the training library: leaves are added in tree order, in float64 for LightGBM and
// in float32 for XGBoost.
type Compiled struct {
	*binner
	library    Library
	base       []float64 // per class
	iterations float64   // divides the sum of a random forest; 1 otherwise
	trees      []portableTree
	runs       []classRun
	portable   portableNodes
}

// classRun is the trees of one class, in summation order: trees[first:last].
type classRun struct{ first, last int }

// Compile turns a valid forest into its fast form.
func Compile(f *Forest) (*Compiled, error) {
	c := &Compiled{binner: newBinner(f), library: f.Library, base: f.Base, iterations: 1}
	if c.columns > columnsMax {
		return nil, fmt.Errorf("compile forest: %d columns of tests, at most %d are supported", c.columns, columnsMax)
	}
	if f.Average && f.Iterations > 0 {
		c.iterations = float64(f.Iterations)
	}
	for class := range f.Classes {
		run := classRun{first: len(c.trees)}
		for i := range f.Trees {
			if f.Trees[i].Class == class {
				c.trees = append(c.trees, c.portable.lower(&f.Trees[i], c.binner, f.Library))
			}
		}
		run.last = len(c.trees)
		c.runs = append(c.runs, run)
	}
	c.portable.pad()
	return c, nil
}

// Kernel says which implementation scores full packs of rows: "avx512", "avx2" or "portable".
func (c *Compiled) Kernel() string { return "portable" }
