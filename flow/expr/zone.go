package expr

import (
	_ "embed"
	"slices"
	"strings"
	"time"

	"facteur/flow/diag"
)

// Go loads a time zone by its name, and lists none. The names are read only to say which one
// an unknown one is meant for.
//
//go:embed zones.txt
var zoneNames string

// TimeZone gives a time zone by its name in the IANA database, such as Europe/Paris; "" is
// UTC. Of an unknown one, which is nil, meant is the name of what it is likely meant for, ""
// where that cannot be told.
func TimeZone(name string) (zone *time.Location, meant string) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" { // which differs from machine to machine
		return nil, nearZone(name)
	}
	return zone, ""
}

// nearZone finds a zone by the name of its city, in the same part of the world if it is there.
func nearZone(name string) string {
	names := strings.Fields(zoneNames)
	area, city := cutZone(name)
	var near, far []string
	for _, zone := range names {
		if strings.EqualFold(zone, name) {
			return zone
		}
		in, place := cutZone(zone)
		if in == "" || in == "Etc" || city == "" || !strings.EqualFold(place[:1], city[:1]) {
			continue // cities that are nearly alike are different ones where they begin otherwise
		}
		far = append(far, place)
		if strings.EqualFold(in, area) {
			near = append(near, place)
		}
	}
	meant := diag.Suggest(city, near)
	if meant != "" {
		return area + "/" + meant
	}
	if meant = diag.Suggest(city, far); meant == "" {
		return ""
	}
	i := slices.IndexFunc(names, func(zone string) bool { return strings.HasSuffix(zone, "/"+meant) })
	return names[i]
}

// cutZone gives what stands before the last / of a name, and behind it.
func cutZone(name string) (area, city string) {
	i := strings.LastIndexByte(name, '/')
	return name[:max(i, 0)], name[i+1:]
}
