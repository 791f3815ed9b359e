package forest

import (
	"fmt"
	"strings"
)

// Kind is what is wrong with a model, as far as a caller branches on it.
type Kind uint8

const (
	// KindFormat is a file of another format: a pickle, an archive, a web page.
	KindFormat Kind = iota + 1
	// KindLegacy is a model in a format that its own library has given up.
	KindLegacy
	// KindVersion is a known format in a version that is not supported.
	KindVersion
	// KindTruncated is a file that ends too early or too late, or whose own counts disagree.
	KindTruncated
	// KindField is a missing, duplicate or malformed field, or an array of the wrong length.
	KindField
	// KindShape is a forest whose trees, classes and iterations do not fit together.
	KindShape
	// KindTree is a tree that is no tree: a cycle, two parents, a child out of range, an unreachable node.
	KindTree
	// KindFeature is a feature out of range or a feature list that contradicts itself.
	KindFeature
	// KindValue is a number that no sum can hold: NaN, or infinity outside a threshold.
	KindValue
	// KindCategory is a category set that is empty, out of range or wrongly delimited.
	KindCategory
	// KindUnsupported is a valid model that needs something millrace does not do.
	KindUnsupported
	// KindLimits is a model beyond the configured limits.
	KindLimits
	// KindNoCover is a model without the training counts that explanations need.
	KindNoCover
	// KindSelfCheck is a model on which two scorers disagree.
	KindSelfCheck
)

// String returns the kind's stable name.
func (k Kind) String() string {
	names := [...]string{
		"unknown", "format", "legacy", "version", "truncated", "field", "shape", "tree", "feature", "value",
		"category", "unsupported", "limits", "no cover", "self-check",
	}
	if int(k) >= len(names) {
		return names[0]
	}
	return names[k]
}

// Error says why a model was refused. It never holds a row's values.
type Error struct {
	Kind   Kind
	File   string // as the caller named it; may be empty
	Tree   int    // -1 if no single tree is meant
	Node   int    // -1 if no single node is meant
	Field  string // the field of the file; may be empty
	Reason string
}

// Error returns the path to the fault and the reason, as in "model m.txt: tree 3: node 7: threshold is NaN".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("model")
	if e.File != "" {
		fmt.Fprintf(&b, " %q", e.File)
	}
	if e.Tree >= 0 {
		fmt.Fprintf(&b, ": tree %d", e.Tree)
	}
	if e.Node >= 0 {
		fmt.Fprintf(&b, ": node %d", e.Node)
	}
	if e.Field != "" {
		fmt.Fprintf(&b, ": %s", e.Field)
	}
	b.WriteString(": ")
	b.WriteString(e.Reason)
	return b.String()
}

// fault makes an error that belongs to no tree.
func fault(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Tree: -1, Node: -1, Reason: fmt.Sprintf(format, args...)}
}

// fieldFault makes an error about one field of the file.
func fieldFault(kind Kind, field, format string, args ...any) *Error {
	e := fault(kind, format, args...)
	e.Field = field
	return e
}

// inTree names the tree an error was found in.
func inTree(err error, tree int) error {
	if e, ok := err.(*Error); ok && e.Tree < 0 {
		e.Tree = tree
	}
	return err
}

// clipped shortens text from a file so that an error stays readable and cannot carry much of it.
func clipped[T string | []byte](text T) string {
	const longest = 40
	if len(text) > longest {
		return fmt.Sprintf("%q…", string(text[:longest]))
	}
	return fmt.Sprintf("%q", string(text))
}
