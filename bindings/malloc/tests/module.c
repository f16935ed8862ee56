/* A shared object with thread-local data, of which modules.c loads many copies. */
static __thread char data[1000];

char *touch(void);
char *touch(void)
{
    data[1]++;
    return data;
}
