package forest

// A program is what is done for many rows and one class: its trees in summation order, in groups. A group is as much of
// the stream as passes over all blocks in work before the next group does, so that a forest larger than the caches is
// read once for many rows; it also bounds the time that a kernel, which the runtime cannot interrupt, takes.
const (
	groupBytesMax = 256 << 10
	groupNodesMax = 8 << 10
	// treeNodes is what looking up a tree's leaves costs, in nodes.
	treeNodes = 16
)

// group is a run of trees of one class that are scored in the same way.
type group struct {
	stream []byte
	trees  int
	walk   int // the tree to walk instead, if stream is empty: one too large, or with linear leaves
}

// programBuilder collects the groups of one class.
type programBuilder struct {
	groups []group
	nodes  int // of the last group
	spans  []span
	stream []byte
}

type span struct{ from, to int }

// addTree appends a tree that the kernels can evaluate.
func (p *programBuilder) addTree(t *Tree, b *binner, library Library) {
	from := len(p.stream)
	p.stream = newStreamTree(t).appendTo(p.stream, b, library)
	nodes, last := len(t.Nodes)+treeNodes, len(p.groups)-1
	if last >= 0 && p.groups[last].trees > 0 && p.nodes+nodes <= groupNodesMax &&
		len(p.stream)-p.spans[last].from <= groupBytesMax {
		p.groups[last].trees++
		p.spans[last].to = len(p.stream)
		p.nodes += nodes
		return
	}
	p.groups = append(p.groups, group{trees: 1})
	p.spans = append(p.spans, span{from, len(p.stream)})
	p.nodes = nodes
}

// addWalk appends a tree that is walked.
func (p *programBuilder) addWalk(tree int) {
	p.groups = append(p.groups, group{walk: tree})
	p.spans = append(p.spans, span{})
}

// finish moves the stream to a cache line and returns the groups.
func (p *programBuilder) finish() []group {
	stream := alignedBytes(len(p.stream))
	copy(stream, p.stream)
	for i := range p.groups {
		if s := p.spans[i]; s.to > s.from {
			p.groups[i].stream = stream[s.from:s.to:s.to]
		}
	}
	return p.groups
}
