package place

import (
	"fmt"
	"strings"
)

// Names of the kinds, in the order of [Table.All].
const (
	Connections = "connections"
	Memory      = "memory"
	Uploads     = "uploads"
	Scores      = "scores"
	Downloads   = "downloads"
	Packed      = "packed"
	Streams     = "streams"
)

// Names lists the kinds.
var Names = []string{Connections, Memory, Uploads, Scores, Downloads, Packed, Streams}

// BlockBytes is the size of a place of the kind Memory.
const BlockBytes = 256 << 10

// Config is how many places there are. Zero fields mean their defaults.
type Config struct {
	Connections           int   // default 2048
	ConnectionsPerAddress int   // default a quarter of them
	Uploads               int   // large bodies; default 32, or as many as fit into 256 MiB
	Scores                int   // files that are scored or checked in memory; default 2
	Streams               int   // default 256
	UploadBytes           int64 // memory of an upload on its way into the object store; default 4 MiB
}

func (c Config) withDefaults() Config {
	orElse(&c.Connections, 2048)
	orElse(&c.ConnectionsPerAddress, max(1, c.Connections/4))
	orElse(&c.UploadBytes, 4<<20)
	orElse(&c.Uploads, min(32, max(4, int((256<<20)/c.UploadBytes))))
	orElse(&c.Scores, 2)
	orElse(&c.Streams, 256)
	return c
}

func orElse[T int | int64](value *T, standard T) {
	if *value <= 0 {
		*value = standard
	}
}

// slowBody and slowReader are rates at which a client is waited for as long as there are places.
const (
	slowBody   = 256 << 10
	slowReader = 64 << 10
)

const slowUpload = "The upload was slow and others were waiting for its place. Try again, on a faster connection or packed " +
	"with gzip, or ask for an upload link (POST /upload-links), which takes no place here."

// Table is the pools of a server.
type Table struct {
	Connections *Pool // by client address
	Memory      *Pool // blocks of BlockBytes: bodies that were read before the work on them, and answers being sent
	Uploads     *Pool // bodies too large for that, which are worked on while they arrive
	Scores      *Pool
	Downloads   *Pool // sent as they are stored
	Packed      *Pool // compressed or converted while they are sent; Arrow takes two
	Streams     *Pool // of events
}

// NewTable returns pools in which nothing is held.
func NewTable(c Config) *Table {
	c = c.withDefaults()
	return &Table{
		Connections: newPool(Kind{
			Name: Connections, Unit: "connections", Max: c.Connections, CallerMax: min(c.Connections, c.ConnectionsPerAddress),
			Bytes: 32 << 10, SlowBelow: 64,
		}),
		Memory: newPool(Kind{
			Name: Memory, Unit: "blocks of memory for requests", Max: 384, CallerMax: 288, Bytes: BlockBytes, SlowBelow: slowBody,
			SlowMessage: slowUpload,
		}),
		Uploads: newPool(Kind{
			Name: Uploads, Unit: "files being uploaded", Max: c.Uploads, CallerMax: max(1, c.Uploads/2), Bytes: c.UploadBytes,
			SlowBelow: slowBody, SlowMessage: slowUpload,
		}),
		Scores: newPool(Kind{
			Name: Scores, Unit: "files being scored", Max: c.Scores, CallerMax: max(1, c.Scores-1), Bytes: 8 << 20,
		}),
		Downloads: newPool(Kind{
			Name: Downloads, Unit: "files being downloaded", Max: 256, CallerMax: 64, Bytes: 128 << 10, SlowBelow: slowReader,
		}),
		Packed: newPool(Kind{
			Name: Packed, Unit: "files being compressed or converted", Max: 16, CallerMax: 8, Bytes: 9 << 19, SlowBelow: slowReader,
		}),
		Streams: newPool(Kind{
			Name: Streams, Unit: "open event streams", Max: c.Streams, CallerMax: max(1, c.Streams/4), Bytes: 64 << 10,
		}),
	}
}

// All lists the pools in the order of Names.
func (t *Table) All() []*Pool {
	return []*Pool{t.Connections, t.Memory, t.Uploads, t.Scores, t.Downloads, t.Packed, t.Streams}
}

// KernelBytes returns what the kernel holds of answers when no client reads; 0 where that is not bounded.
func (t *Table) KernelBytes() int64 { return int64(t.Connections.Max) * unsentMemory }

// Bytes returns the memory of the process that requests hold when every place is taken.
func (t *Table) Bytes() (sum int64) {
	for _, p := range t.All() {
		sum += int64(p.Max) * p.Bytes
	}
	return sum
}

// String lists the bounds: "connections 512 of 2048, …".
func (t *Table) String() string {
	var list []string
	for _, p := range t.All() {
		list = append(list, fmt.Sprintf("%s %d, of one caller %d", p.Name, p.Max, p.CallerMax))
	}
	return strings.Join(list, "; ")
}
