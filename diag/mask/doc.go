// Package mask hides parts of a report from those who only have its link. A value is not cut out but stands under a name
// that tells nothing and stays the same within what one owner shares ("host-3f2a", "address-91c0"), so that a report can
// still be followed: this address answers, that one does not.
//
// It works on reports and events before they get words: every text, export and drawing is made of what is left. What a peer
// sent is searched for names and addresses of any kind, since a certificate, a redirect or an error names a host as well as
// the target does; what cannot be searched (certificates, raw bytes) is left out.
package mask
