package objects

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Keys are made of ids only: a customer's file name is never part of one.

// InboxPrefix begins the keys of files that other programs drop to be scored.
const InboxPrefix = "inbox/"

// DirectPrefix begins the keys of files that were uploaded through links.
const DirectPrefix = "direct/"

// UploadsPrefix begins the keys of uploads, resultsPrefix those of predictions, ModelsPrefix those of kept models.
const (
	UploadsPrefix = "uploads/"
	resultsPrefix = "results/"
	ModelsPrefix  = "models/"
)

// OwnFolders are the prefixes that sweeps list, without the inbox, which belongs to other programs. This program writes
// below all but the last.
var OwnFolders = [...]string{UploadsPrefix, resultsPrefix, ModelsPrefix, DirectPrefix}

// writtenFolders are the prefixes that may hold leftovers of interrupted writes.
var writtenFolders = OwnFolders[:3]

// Deletable reports whether a key lies below [OwnFolders] or the inbox.
func Deletable(key string) bool {
	for _, folder := range OwnFolders {
		if strings.HasPrefix(key, folder) {
			return true
		}
	}
	return strings.HasPrefix(key, InboxPrefix)
}

// Loggable returns a key as it may be logged: without a dropped file's name, which a customer chose.
func Loggable(key string) string {
	if strings.HasPrefix(key, InboxPrefix) {
		return InboxPrefix + "…"
	}
	return key
}

// Names of the objects of a prediction.
const (
	ResultName  = "result.csv"  // every scored row, in input order
	RejectsName = "rejects.csv" // every rejected row with its reason
	IndexName   = "result.idx"  // where each block of the result begins
)

// InputKey is the key of an upload's file.
func InputKey(upload uuid.UUID) string { return UploadPrefix(upload) + "input.csv" }

// ModelKey is a new key for the archive of the model with a digest, which no other archive ever has.
func ModelKey(digest string) string { return ModelsPrefix + digest + "/" + uuid.NewString() + ".zip" }

// ModelOf returns the digest of the model whose archive has a key; false if it is no such key.
func ModelOf(key string) (digest string, ok bool) {
	rest, ok := strings.CutPrefix(key, ModelsPrefix)
	digest, _, within := strings.Cut(rest, "/")
	return digest, ok && within
}

// UploadPrefix is what the keys of all objects of an upload begin with.
func UploadPrefix(upload uuid.UUID) string { return UploadsPrefix + upload.String() + "/" }

// PredictionPrefix is what the keys of all objects of a prediction begin with.
func PredictionPrefix(prediction uuid.UUID) string { return resultsPrefix + prediction.String() + "/" }

// ResultPrefix is what the keys of all objects of one generation of a prediction begin with.
func ResultPrefix(prediction uuid.UUID, generation int) string {
	return fmt.Sprintf("%s%d/", PredictionPrefix(prediction), generation)
}

// ResultKey is the key of a finished object of a prediction: ResultName, RejectsName or IndexName.
func ResultKey(prediction uuid.UUID, generation int, name string) string {
	return ResultPrefix(prediction, generation) + name
}

// SnapshotKey is the key of a part's snapshot, for the comparison with the next upload. It is kept as long as the result.
func SnapshotKey(prediction uuid.UUID, generation, part int) string {
	return fmt.Sprintf("%ssnapshot/%05d", ResultPrefix(prediction, generation), part)
}

// PartsPrefix is what the keys of all parts' objects of one generation begin with.
func PartsPrefix(prediction uuid.UUID, generation int) string {
	return ResultPrefix(prediction, generation) + "parts/"
}

// PartKey is the key under which a worker puts what a part adds to the finished object of that name.
func PartKey(prediction uuid.UUID, generation, part int, name string) string {
	return fmt.Sprintf("%s%05d-%s", PartsPrefix(prediction, generation), part, name)
}
