// How long a target took to make what its container is measured with: about
// what a restart can't be faster than.
static void setup_took(double begin)
{
	FILE *f = fopen("setup", "w");
	must(f && fprintf(f, "%.6f", seconds() - begin) > 0 && fclose(f) == 0);
}
