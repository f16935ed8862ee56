/* Asks the driver that the loader finds for the name of device 0. With the argument "simulated", that must be the simulator's; with "not",
   it must not: there is another driver or none. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef int (*init_t)(unsigned);
typedef int (*name_t)(char *, int, int);

/* Converts an object pointer into a function pointer, for which ISO C has no conversion. */
static void *find(void *library, const char *name, void *function) {
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof found);
    return found;
}

int main(int count, char **arguments) {
    int wanted = count > 1 && strcmp(arguments[1], "simulated") == 0;
    char name[100] = "no driver";
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    init_t init = NULL;
    name_t device_name = NULL;
    if (library && find(library, "cuInit", &init) && find(library, "cuDeviceGetName", &device_name)) {
        if (init(0) != 0 || device_name(name, (int)sizeof name, 0) != 0) {
            strcpy(name, "no device");
        }
    }
    printf("%s\n", name);
    return (strncmp(name, "Tenure simulated", 16) == 0) == wanted ? 0 : 1;
}
