package whatsapp

// InUse is inUse, for comparing it with the library whose data it reads.
var InUse = inUse
