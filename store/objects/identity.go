package objects

import (
	"strings"
	"time"
)

// NullVersion is the version of what was put while its bucket kept no versions; the next such put replaces it.
const NullVersion = "null"

// Identity identifies one put of a key: by the version, or by [Info.Stamp] where the store keeps none.
func (i Info) Identity() string {
	if i.Version == "" || i.Version == NullVersion {
		return i.Stamp()
	}
	return i.Version
}

// Stamp is the ETag and the time of an object, as HEAD and lists show both: the time in whole seconds, the precision of
// HTTP. The same bytes put again later have another.
func (i Info) Stamp() string {
	return strings.Trim(i.ETag, `"`) + " " + i.Modified.UTC().Format(time.RFC3339)
}
