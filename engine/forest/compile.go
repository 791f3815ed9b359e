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
	kernel     kernel
	linear     bool            // some leaves are linear models
	places     [packRows]uint8 // of a pack's rows among their sums
}

// classRun is the trees of one class, in summation order: trees[first:last].
type classRun struct {
	first, last int
	program     []group     // the same trees for a kernel
	few         []fewGroup  // the same trees for a few rows
	row         []rowStream // the same for single rows, if the processor and the trees allow it
}

// Compile turns a valid forest into its fast form.
func Compile(f *Forest) (*Compiled, error) { return compileFor(f, bestKernel) }

// compileFor compiles for one of the kernels that the processor has.
func compileFor(f *Forest, k kernel) (*Compiled, error) {
	c := &Compiled{
		binner: newBinnerFor(f, k), library: f.Library, base: f.Base, iterations: 1, kernel: k,
		places: k.places(f.Library),
	}
	if err := checkColumns(c.columns); err != nil {
		return nil, fmt.Errorf("compile forest: %w", err)
	}
	if f.Average && f.Iterations > 0 {
		c.iterations = float64(f.Iterations)
	}
	for class := range f.Classes {
		c.runs = append(c.runs, c.compileClass(f, class))
	}
	padding := c.portable.lower(paddingTree(), c.binner, f.Library, 1)
	for class := range c.runs {
		c.compileFew(&c.runs[class], padding)
	}
	return c, nil
}

func checkColumns(columns int) error {
	if columns > columnsMax {
		return fmt.Errorf("%d columns of tests, at most %d are supported", columns, columnsMax)
	}
	return nil
}

func (c *Compiled) compileClass(f *Forest, class int) classRun {
	run := classRun{first: len(c.trees)}
	var program programBuilder
	var trees []*Tree
	for i := range f.Trees {
		t := &f.Trees[i]
		if t.Class != class {
			continue
		}
		if t.Linear != nil || len(t.Leaves) > c.kernel.leavesMax() {
			program.addWalk(len(c.trees))
		} else {
			for _, piece := range cutTree(t) {
				program.addTree(piece, c.binner, f.Library)
			}
		}
		c.linear = c.linear || t.Linear != nil
		c.trees = append(c.trees, c.portable.lower(t, c.binner, f.Library, c.kernel.leavesMax()))
		trees = append(trees, t)
	}
	if c.kernel == kernelAVX512 && rowKernel && !c.linear {
		run.row = newRowStreams(trees, c.binner, f.Library)
	}
	run.last = len(c.trees)
	run.program = program.finish()
	return run
}

// Kernel says which implementation scores full packs of rows: "avx512", "avx2" or "portable". The last one also walks
// the trees that no kernel takes: those with linear leaves, and very large ones.
func (c *Compiled) Kernel() string {
	if c.linear {
		return kernelPortable.String()
	}
	return c.kernel.String()
}
