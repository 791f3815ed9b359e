package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	treesAtOnce   = 8
	fewTreesBytes = 40 // see fewTrees
	offsetSteps   = 32
)

// addEights walks one row down eight trees at a time and adds the leaves in the order of the trees. See portableNodes
// for the nodes; the compare leaves "threshold < code" in the carry, so a step is an addition with carry.
func addEights(name string, bytes int) {
	TEXT(name, NOSPLIT, fmt.Sprintf(
		"func(eights *byte, n int, nodes *uint32, values *float%[1]d, codes *byte, sum float%[1]d) float%[1]d", 8*bytes))
	Doc(name + " adds the leaves that a row reaches in n groups of eight trees to its sum.")
	Pragma("noescape")
	eights := Load(Param("eights"), GP64())
	nodes := Load(Param("nodes"), GP64())
	codes := Load(Param("codes"), GP64())
	sum := Load(Param("sum"), XMM())
	left, err := Param("n").Resolve()
	if err != nil {
		panic(err)
	}
	values, err := Param("values").Resolve()
	if err != nil {
		panic(err)
	}

	var at [treesAtOnce]GPVirtual
	for t := range at {
		at[t] = GP64()
	}
	steps, code, step := GP64(), GP64(), GP64()
	Label("eight")
	for t := range at {
		MOVL(Mem{Base: eights, Disp: 4 * t}, at[t].As32())
	}
	MOVL(Mem{Base: eights, Disp: offsetSteps}, steps.As32())
	TESTL(steps.As32(), steps.As32())
	JZ(LabelRef("arrived"))
	Label("step")
	for t := range at {
		node := Mem{Base: nodes, Index: at[t], Scale: 4}
		MOVWLZX(node.Offset(2), code.As32())
		MOVBLZX(Mem{Base: codes, Index: code, Scale: 1}, code.As32())
		MOVBLZX(node, step.As32())
		CMPB(node.Offset(1), code.As8())
		ADCL(step.As32(), at[t].As32())
	}
	DECL(steps.As32())
	JNZ(LabelRef("step"))
	Label("arrived")
	MOVQ(values.Addr, code)
	for t := range at {
		if bytes == 8 {
			ADDSD(Mem{Base: code, Index: at[t], Scale: 8}, sum)
		} else {
			ADDSS(Mem{Base: code, Index: at[t], Scale: 4}, sum)
		}
	}
	ADDQ(Imm(fewTreesBytes), eights)
	DECQ(left.Addr)
	JNZ(LabelRef("eight"))
	Store(sum, ReturnIndex(0))
	RET()
}
