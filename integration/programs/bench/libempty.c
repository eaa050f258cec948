// What any preload costs: a library with nothing in it but its start files.
int nothing_in_here;
