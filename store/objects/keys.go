package objects

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Keys of objects. They are made of our own ids only: a customer's filename is never part of one.

// InboxPrefix is where others drop files to be scored.
const InboxPrefix = "inbox/"

// DirectPrefix is where files lie that were uploaded through links.
const DirectPrefix = "direct/"

const (
	UploadsPrefix = "uploads/"
	resultsPrefix = "results/"
)

// OwnFolders are what sweeps look into; the inbox is others'. Only the first two hold what we write ourselves.
var OwnFolders = [...]string{UploadsPrefix, resultsPrefix, DirectPrefix}

// writtenFolders are where our interrupted writes lie.
var writtenFolders = OwnFolders[:2]

// Deletable says whether a key lies where something of a prediction may lie.
func Deletable(key string) bool {
	for _, folder := range OwnFolders {
		if strings.HasPrefix(key, folder) {
			return true
		}
	}
	return strings.HasPrefix(key, InboxPrefix)
}

// Loggable is a key without what a customer has named. Our own keys are made of ids.
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

// SnapshotKey is the key of what a part keeps for the comparison with the next upload. It stays as long as the result.
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
