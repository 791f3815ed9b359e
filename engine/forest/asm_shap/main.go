// Command asm_shap writes the assembly of package forest that explains scores. Run it through go generate.
package main

import (
	"flag"
	"fmt"
	"log"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The constraint of every generated file; its negation chooses the files without assembly.
const constraint = "amd64,!purego"

const (
	packBytes  = 64  // codes of a pack in a column
	sumBytes   = 256 // its sums of a feature
	wordBytes  = 4
	lanesBytes = 64

	greater = 6 // predicate of VPCMPUB

	// The fields of a record.
	recordBytes  = 16
	hiOffset     = 4
	spanOffset   = 8
	targetOffset = 12
)

func main() {
	file := flag.String("file", "", "which file to write: avx512 or avx2")
	flag.Parse()
	ConstraintExpr(constraint)
	switch *file {
	case "avx512":
		each(tables, integrate)
		addSums()
	case "avx2":
		each(narrowTables, narrowIntegrate)
	default:
		log.Fatalf("unknown file %q", *file)
	}
	Generate()
}

// each writes the functions of every size of table and every number of points.
func each(tables, integrate func(int)) {
	for bits := 1; bits <= 7; bits++ {
		tables(bits)
	}
	for points := 4; points <= 8; points++ {
		integrate(points)
	}
}

// leafLoop holds the registers of a function that goes through the leaves of a run and, for each, through packs. What is
// needed once a leaf or pack stays an argument in memory.
type leafLoop struct {
	records, slots, values, scratch Register

	code, sum, pack Register // of the pack at hand
	record, left    Register // for a loop over records or terms
	place           Register // of a term's sums
}

const leafArguments = "(records *byte, tests int, slots *uint32, values *float32, leaves int, " +
	"codes *byte, sums *float32, packs int, scratch *uint64"

// begin starts a function with leafArguments and the loops over leaves and packs.
func begin(name, more, doc string) *leafLoop {
	TEXT(name, NOSPLIT, "func"+leafArguments+more+")")
	Doc(doc)
	Pragma("noescape")
	return &leafLoop{
		records: Load(Param("records"), GP64()), slots: Load(Param("slots"), GP64()),
		values: Load(Param("values"), GP64()), scratch: Load(Param("scratch"), GP64()),
		code: GP64(), sum: GP64(), pack: GP64(), record: GP64(), left: GP64(), place: GP64(),
	}
}

func (l *leafLoop) eachPack() {
	Load(Param("codes"), l.code)
	Load(Param("sums"), l.sum)
	Load(Param("packs"), l.pack)
	Label("pack")
}

// nextPack ends the loop over packs.
func (l *leafLoop) nextPack() {
	ADDQ(U32(packBytes), l.code)
	ADDQ(U32(sumBytes), l.sum)
	DECQ(l.pack)
	JNZ(LabelRef("pack"))
}

// nextLeaf steps over the leaf's records, and ends the loop over leaves.
func (l *leafLoop) nextLeaf() {
	Load(Param("tests"), l.record)
	SHLQ(Imm(4), l.record)
	ADDQ(l.record, l.records)
	leaves, err := Param("leaves").Resolve()
	if err != nil {
		panic(err)
	}
	DECQ(leaves.Addr)
	JNZ(LabelRef("leaf"))
	VZEROUPPER()
	RET()
}

// fails sets the bits of the rows of the pack that do not pass a record: where hi - code > span.
func (l *leafLoop) fails(record Mem, mask OpmaskPhysical) {
	x, span, column := ZMM(), ZMM(), GP64()
	MOVL(record, column.As32())
	VPBROADCASTD(record.Offset(hiOffset), x)
	VPBROADCASTD(record.Offset(spanOffset), span)
	VPSUBB(Mem{Base: l.code, Index: column, Scale: 1}, x, x)
	VPCMPUB(Imm(greater), span, x, mask)
}

// term finds the sums of a term.
func (l *leafLoop) term(slot Mem) {
	MOVL(slot, l.place.(GPVirtual).As32())
	SHLQ(Imm(2), l.place)
	ADDQ(l.sum, l.place)
}

// addTo adds to the sums of a quarter.
func (l *leafLoop) addTo(quarter int, x Register) {
	at := Mem{Base: l.place, Disp: lanesBytes * quarter}
	VADDPS(at, x, x)
	VMOVUPS(x, at)
}

// addSums moves the float32 sums of a feature to its float64 sums.
func addSums() {
	TEXT("shapAddSumsAVX512", NOSPLIT, "func(to *float64, from *float32, packs int)")
	Doc("shapAddSumsAVX512 adds the sums of packs of 64 rows and leaves zeros behind.")
	Pragma("noescape")
	to, from := Load(Param("to"), GP64()), Load(Param("from"), GP64())
	packs := Load(Param("packs"), GP64())
	zero, wide := ZMM(), ZMM()
	VPXORD(zero, zero, zero)
	Label("pack")
	for half := range 8 {
		VCVTPS2PD(Mem{Base: from, Disp: 32 * half}, wide)
		VADDPD(Mem{Base: to, Disp: 64 * half}, wide, wide)
		VMOVUPD(wide, Mem{Base: to, Disp: 64 * half})
	}
	for quarter := range 4 {
		VMOVUPS(zero, Mem{Base: from, Disp: lanesBytes * quarter})
	}
	ADDQ(U32(sumBytes), from)
	ADDQ(U32(2*sumBytes), to)
	DECQ(packs)
	JNZ(LabelRef("pack"))
	VZEROUPPER()
	RET()
}

func name(base string, n int) string { return fmt.Sprintf("%s%dAVX512", base, n) }
