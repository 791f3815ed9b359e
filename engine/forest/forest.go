// Package forest holds tree ensembles: it reads model files, checks them, and scores rows.
//
// Every reader ends in one intermediate form, [Forest]. Everything else (the walker, the compiled engine, the
// explanations, the stream handed to leaves) is derived from it alone. The package knows no Arrow and does no I/O.
package forest

// Library names the training library whose arithmetic a forest follows.
type Library uint8

const (
	// LightGBM sums float64 and sends x <= threshold to the left.
	LightGBM Library = iota + 1
	// XGBoost sums float32 and sends float32(x) < threshold to the left.
	XGBoost
)

// SplitKind is the test that an inner node makes.
type SplitKind uint8

const (
	// SplitLessEqual sends x <= Threshold to the left (LightGBM).
	SplitLessEqual SplitKind = iota
	// SplitLess sends float32(x) < Threshold to the left (XGBoost).
	SplitLess
	// SplitInSet sends the categories of a set to the left (LightGBM).
	SplitInSet
	// SplitNotInSet sends the categories of a set to the right (XGBoost).
	SplitNotInSet
)

// Missing says what a node takes for a missing value.
type Missing uint8

const (
	// MissingNone reads NaN as 0 (LightGBM).
	MissingNone Missing = iota
	// MissingZero sends NaN and every |x| <= float32(1e-35) to the default side (LightGBM).
	MissingZero
	// MissingNaN sends NaN to the default side.
	MissingNaN
)

// Link turns raw scores into what the objective promises. It is applied outside the tree loop.
type Link uint8

const (
	LinkIdentity     Link = iota
	LinkSigmoid           // 1/(1+exp(-Sigmoid*raw)), per class
	LinkSoftmax           // over the classes of a row
	LinkExp               // poisson, gamma, tweedie, cox, aft
	LinkLog1pExp          // cross_entropy_lambda
	LinkSignedSquare      // "regression sqrt": sign(x)*x*x
	LinkHinge             // binary:hinge: 1 if raw > 0, else 0
)

// Forest is a validated tree ensemble.
type Forest struct {
	Source     Source
	Library    Library
	Objective  string // as the file names it; empty for a custom objective
	Link       Link
	Sigmoid    float64   // the factor of LinkSigmoid, 1 unless the file says otherwise
	Classes    int       // raw scores per row, at least 1; targets and quantiles count as classes
	Base       []float64 // base margin per class, already linked; added before the first tree
	Average    bool      // random forest: the sum is divided by Iterations before the link
	Iterations int
	Features   []Feature
	Trees      []Tree // in summation order
	// Rounds holds the index of each iteration's first tree, and the number of trees at the end.
	Rounds []int32
	// BestIteration is the number of iterations that early stopping found best, 0 if the file names none. It is
	// information only: all trees are summed unless the caller takes Prefix.
	BestIteration int
	// CategoriesLost says why the texts of categories are not known although the model was trained on them: only their
	// codes can be scored. It is empty if no feature lacks them.
	CategoriesLost string
	// Warnings says what is unusual but harmless, for the operator.
	Warnings []string
}

// Source says where a forest came from.
type Source struct {
	Name    string // as the caller named the file
	Format  string // "lightgbm-text", "xgboost-json", "xgboost-ubjson"
	Version string // as the file states it: "v4", "3.4.1"
	SHA256  [32]byte
	Bytes   int
}

// Feature is one column of the training matrix, in training order.
type Feature struct {
	Name string // empty if the file names none
	// Categories maps a category's text to its code by position, if the file carries the map (pandas_categorical,
	// cats).
	Categories   []string
	CategoryKind CategoryKind
	Categorical  bool
}

// CategoryKind is the type that Categories had in training.
type CategoryKind uint8

const (
	CategoryText    CategoryKind = iota // as it stands
	CategoryInteger                     // decimal
	CategoryFloat                       // as Python writes it: "1.5", "2.0", "1e-07"
	CategoryBool                        // "True" or "False"
)

// Tree is one tree. Children at or above zero index Nodes; a negative child c is leaf ^c. A tree of one leaf has no
// nodes.
type Tree struct {
	Class  int
	Nodes  []Node // the root first
	Leaves []Leaf
	Sets   [][]uint32 // bitsets of categories, indexed by Node.Set
	Linear []Linear   // per leaf; nil unless the leaves are linear models
	// LeafNumbers holds the number that the library gives each leaf; nil if that is its index (LightGBM).
	LeafNumbers []int32
}

// Node is an inner node.
type Node struct {
	Threshold   float64 // float32 values are held exactly; LightGBM's near 0 are moved, see settleThreshold
	Cover       float64 // training rows (LightGBM) or hessian sum (XGBoost); 0 if the file has none
	Feature     int32
	Left, Right int32
	Set         int32 // index into Tree.Sets for set splits
	Kind        SplitKind
	Missing     Missing
	DefaultLeft bool
}

// Leaf is a leaf; Value has every weight (shrinkage, DART) already in it.
type Leaf struct {
	Value float64
	Cover float64
}

// Linear is the model in a linear leaf: Const + sum of Coefficients[i]*x[Features[i]], or the leaf's Value if any x is
// NaN.
type Linear struct {
	Const        float64
	Features     []int32
	Coefficients []float64
}

// loseCategories notes why texts of categories are not known, for the caller and the operator.
func (f *Forest) loseCategories(why string) {
	if f.CategoriesLost == "" {
		f.CategoriesLost = why
		f.Warnings = append(f.Warnings, why)
	}
}
